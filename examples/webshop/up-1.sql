-- SPDX-License-Identifier: LGPL-3.0-or-later
-- Migrations may meet their own work, or that of another version. No constraint on id: an order that
-- arrived twice must be seen.
CREATE TABLE IF NOT EXISTS orders (id text NOT NULL, placed timestamptz NOT NULL DEFAULT now());
