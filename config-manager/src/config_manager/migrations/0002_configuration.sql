-- The complete configuration of a service, in the form that is broadcast.
CREATE TABLE IF NOT EXISTS service_configs (
    service TEXT PRIMARY KEY,
    config_json TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    config_epoch TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    updated_by TEXT
);
CREATE INDEX IF NOT EXISTS idx_service_configs_epoch ON service_configs(config_epoch);

-- The same settings one by one, for search; secrets are masked.
CREATE TABLE IF NOT EXISTS config_items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    service TEXT NOT NULL,
    key TEXT NOT NULL,
    value_json TEXT NOT NULL,
    type TEXT NOT NULL,
    complexity TEXT NOT NULL,
    description TEXT NOT NULL,
    help_text TEXT,
    is_secret INTEGER NOT NULL DEFAULT 0,
    updated_at TEXT NOT NULL,
    updated_by TEXT,
    UNIQUE(service, key)
);
CREATE INDEX IF NOT EXISTS idx_config_items_service ON config_items(service);
CREATE INDEX IF NOT EXISTS idx_config_items_complexity ON config_items(complexity);
CREATE INDEX IF NOT EXISTS idx_config_items_key ON config_items(key);
CREATE INDEX IF NOT EXISTS idx_config_items_search ON config_items(service, key, description);

-- Who changed which setting, when and why; secrets are masked.
CREATE TABLE IF NOT EXISTS config_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    service TEXT NOT NULL,
    key TEXT NOT NULL,
    old_value_json TEXT,
    new_value_json TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    changed_by TEXT,
    change_reason TEXT
);
CREATE INDEX IF NOT EXISTS idx_config_history_service ON config_history(service);
CREATE INDEX IF NOT EXISTS idx_config_history_time ON config_history(changed_at);

-- Secrets that people set, as ciphertext.
CREATE TABLE IF NOT EXISTS encrypted_secrets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    service TEXT NOT NULL,
    key TEXT NOT NULL,
    encrypted_value TEXT NOT NULL,
    key_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE(service, key)
);
CREATE INDEX IF NOT EXISTS idx_encrypted_secrets_key_id ON encrypted_secrets(key_id);

-- Who asked for what, and whether it was granted.
CREATE TABLE IF NOT EXISTS access_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT,
    action TEXT NOT NULL,
    service TEXT,
    key TEXT,
    success INTEGER NOT NULL,
    reason TEXT,
    timestamp TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_access_log_time ON access_log(timestamp);
CREATE INDEX IF NOT EXISTS idx_access_log_user ON access_log(user_id);

-- One row for each accepted row version, never pruned; an exact rollback needs it.
CREATE TABLE IF NOT EXISTS service_config_snapshots (
    service TEXT NOT NULL,
    version INTEGER NOT NULL,
    config_epoch TEXT NOT NULL,
    config_json TEXT NOT NULL,
    checksum TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    change_reason TEXT,
    transaction_id TEXT,
    PRIMARY KEY (service, version)
);
CREATE INDEX IF NOT EXISTS idx_snapshots_checksum ON service_config_snapshots(service, checksum);
-- A row of the history finds the version that it belongs to by its moment.
CREATE INDEX IF NOT EXISTS idx_snapshots_moment ON service_config_snapshots(service, changed_at);

-- What is still to be sent: written with the change, removed when the broker has it.
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    retain INTEGER NOT NULL,
    expiry_s INTEGER,
    created_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_outbox_topic ON outbox(topic, id);

-- Answers of accepted requests, so that a retry is answered and not carried out again.
CREATE TABLE IF NOT EXISTS transactions (
    user_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    answer_json TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (user_id, transaction_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idx_transactions_time ON transactions(created_at);

-- One row for each row of config_history and access_log, and for events in the database's life.
CREATE TABLE IF NOT EXISTS audit_chain (
    seq INTEGER PRIMARY KEY,
    source TEXT NOT NULL CHECK (source IN ('config_history','access_log','lifecycle','anchor')),
    row_id INTEGER,
    row_json TEXT,
    head TEXT NOT NULL
);

-- Everything that is signed from now on has a later moment than this.
CREATE TABLE IF NOT EXISTS clock_floor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    floor TEXT NOT NULL
);

-- Every keyset document that was accepted.
CREATE TABLE IF NOT EXISTS keysets (
    keyset_version INTEGER PRIMARY KEY,
    document BLOB NOT NULL,
    accepted_at TEXT NOT NULL
);

-- Named sets of settings of several services.
CREATE TABLE IF NOT EXISTS profiles (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    snapshot_json TEXT NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    updated_by TEXT NOT NULL
);
