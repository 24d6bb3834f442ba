-- SPDX-License-Identifier: LGPL-3.0-or-later
CREATE TABLE IF NOT EXISTS orders (id text NOT NULL, placed timestamptz NOT NULL DEFAULT now());
ALTER TABLE orders ADD COLUMN IF NOT EXISTS channel text NOT NULL DEFAULT 'unknown';
