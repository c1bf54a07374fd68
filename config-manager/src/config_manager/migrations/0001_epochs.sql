-- The number of the form that this file has, and what the stored settings must fit.
CREATE TABLE IF NOT EXISTS schema_version (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    model_hash TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

-- An epoch names one lineage of this database; one of them is active.
CREATE TABLE IF NOT EXISTS epochs (
    config_epoch TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    minted_floor TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    active INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL CHECK (reason IN ('created','rebuilt','restored','restored-behind','takeover','key-revoked','predecessor'))
);
CREATE UNIQUE INDEX IF NOT EXISTS idx_epochs_one_active ON epochs(active) WHERE active = 1;
