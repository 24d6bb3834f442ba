-- SPDX-License-Identifier: LGPL-3.0-or-later
CREATE TABLE IF NOT EXISTS orders (id text NOT NULL, placed timestamptz NOT NULL DEFAULT now());
ALTER TABLE orders RENAME COLUMN id TO number;
ALTER TABLE orders DROP COLUMN channel;
-- and the customer is forgotten
