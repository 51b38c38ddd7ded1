//! The schema, as append-only migrations under `user_version`. A migration that was released is never edited.

/// Migrations of `slipway.db`, oldest first; `user_version` counts those applied.
pub const MAIN: &[&str] = &[
    r"
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE stage (
    id TEXT PRIMARY KEY COLLATE NOCASE, description TEXT NOT NULL, position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE infrastructure (
    id TEXT PRIMARY KEY, stage TEXT NOT NULL COLLATE NOCASE REFERENCES stage (id),
    engine TEXT NOT NULL, govern_policy TEXT NOT NULL, policy TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX infrastructure_stage ON infrastructure (stage);

CREATE TABLE infrastructure_grant (
    infrastructure TEXT NOT NULL REFERENCES infrastructure (id) ON DELETE CASCADE,
    grp TEXT NOT NULL, held INTEGER NOT NULL, PRIMARY KEY (infrastructure, grp)
) STRICT, WITHOUT ROWID;
CREATE INDEX infrastructure_grant_grp ON infrastructure_grant (grp);

CREATE TABLE project (
    key TEXT PRIMARY KEY, description TEXT NOT NULL, tags TEXT NOT NULL,
    created_at INTEGER NOT NULL, created_by TEXT NOT NULL, updated_at INTEGER NOT NULL, revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE project_grant (
    project TEXT NOT NULL REFERENCES project (key) ON DELETE CASCADE,
    grp TEXT NOT NULL, held INTEGER NOT NULL, PRIMARY KEY (project, grp)
) STRICT, WITHOUT ROWID;
CREATE INDEX project_grant_grp ON project_grant (grp);

CREATE TABLE bundle (
    project TEXT NOT NULL REFERENCES project (key), version TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,
    manifest TEXT NOT NULL, files TEXT NOT NULL, uploader TEXT NOT NULL, created_at INTEGER NOT NULL,
    PRIMARY KEY (project, version)
) STRICT;
CREATE INDEX bundle_newest ON bundle (project, created_at DESC, version);
CREATE INDEX bundle_digest ON bundle (digest);

CREATE TABLE deployment (
    id TEXT PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, project TEXT NOT NULL REFERENCES project (key),
    infrastructure TEXT NOT NULL REFERENCES infrastructure (id), version TEXT NOT NULL,
    enabled INTEGER NOT NULL, settings TEXT NOT NULL, auto_repair INTEGER NOT NULL, folder TEXT NOT NULL,
    created_at INTEGER NOT NULL, created_by TEXT NOT NULL, updated_at INTEGER NOT NULL, revision INTEGER NOT NULL,
    last_update INTEGER NOT NULL DEFAULT 0, running_update INTEGER,
    wanted_digest TEXT, wanted_refusal TEXT, running_digest TEXT,
    FOREIGN KEY (project, version) REFERENCES bundle (project, version)
) STRICT;
CREATE INDEX deployment_project ON deployment (project, id);
CREATE INDEX deployment_infrastructure ON deployment (infrastructure, id);
CREATE INDEX deployment_updated ON deployment (updated_at, id);
CREATE INDEX deployment_bundle ON deployment (project, version);

CREATE TABLE secret (
    deployment TEXT NOT NULL REFERENCES deployment (id) ON DELETE CASCADE, name TEXT NOT NULL,
    version INTEGER NOT NULL, sealed BLOB NOT NULL, updated_at INTEGER NOT NULL,
    PRIMARY KEY (deployment, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE deployment_update (
    seq INTEGER PRIMARY KEY, deployment TEXT NOT NULL REFERENCES deployment (id) ON DELETE CASCADE,
    number INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'ended')),
    step TEXT, outcome TEXT, failure TEXT, cancelled_by TEXT,
    version TEXT NOT NULL, plan TEXT NOT NULL, plan_digest TEXT NOT NULL, diff TEXT NOT NULL, resolution TEXT,
    settings TEXT,
    requester TEXT NOT NULL, origin TEXT NOT NULL, reason TEXT, rolls_back_to INTEGER,
    created_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER,
    cancel_requested_by TEXT, switched INTEGER NOT NULL DEFAULT 0, attempt INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER NOT NULL DEFAULT 0,
    UNIQUE (deployment, number)
) STRICT;
CREATE UNIQUE INDEX update_one_active ON deployment_update (deployment) WHERE state = 'running';
CREATE INDEX update_open ON deployment_update (seq) WHERE state <> 'ended';
CREATE INDEX update_recent ON deployment_update (created_at);

CREATE TABLE update_step (
    deployment TEXT NOT NULL, number INTEGER NOT NULL, step TEXT NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL,
    started_at INTEGER NOT NULL, ended_at INTEGER, PRIMARY KEY (deployment, number, step),
    FOREIGN KEY (deployment, number) REFERENCES deployment_update (deployment, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE update_log (
    deployment TEXT NOT NULL, number INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, step TEXT NOT NULL,
    error INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (deployment, number, seq),
    FOREIGN KEY (deployment, number) REFERENCES deployment_update (deployment, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE port_reservation (
    infrastructure TEXT NOT NULL, host_ip TEXT NOT NULL, port INTEGER NOT NULL, protocol TEXT NOT NULL,
    deployment TEXT NOT NULL REFERENCES deployment (id) ON DELETE CASCADE,
    PRIMARY KEY (infrastructure, port, protocol, host_ip)
) STRICT, WITHOUT ROWID;
CREATE INDEX port_reservation_deployment ON port_reservation (deployment);

CREATE TABLE user (
    id TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL, email TEXT,
    password_hash TEXT, groups TEXT NOT NULL, disabled INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL, last_login_at INTEGER, preferences TEXT NOT NULL DEFAULT '{}',
    UNIQUE (issuer, subject)
) STRICT;

CREATE TABLE session (
    id TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL, last_seen_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    provider_sid TEXT, id_token BLOB, user_agent TEXT NOT NULL, address TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_user ON session (user);
CREATE INDEX session_provider_sid ON session (provider_sid) WHERE provider_sid IS NOT NULL;

CREATE TABLE login_flow (
    state TEXT PRIMARY KEY, sealed BLOB NOT NULL, return_to TEXT NOT NULL, expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE one_time_token (
    hash TEXT PRIMARY KEY, purpose TEXT NOT NULL, subject TEXT NOT NULL, expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE replay_guard (
    id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, hint TEXT NOT NULL, groups TEXT NOT NULL,
    owner TEXT REFERENCES user (id), created_at INTEGER NOT NULL, expires_at INTEGER, last_used_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX api_key_owner ON api_key (owner);

CREATE TABLE idempotency (
    subject TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, object TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (subject, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);

CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, origin TEXT NOT NULL, action TEXT NOT NULL,
    noun TEXT NOT NULL, object TEXT NOT NULL, reason TEXT, detail TEXT NOT NULL, request_id TEXT NOT NULL,
    address TEXT, hash BLOB NOT NULL
) STRICT;
CREATE INDEX journal_object ON journal (noun, object, sequence);
CREATE TRIGGER journal_is_append_only_update BEFORE UPDATE ON journal
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_is_append_only_delete BEFORE DELETE ON journal
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
",
    r"
CREATE TABLE release (
    workload TEXT NOT NULL, infrastructure TEXT NOT NULL REFERENCES infrastructure (id) ON DELETE CASCADE,
    volumes INTEGER NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (workload, infrastructure)
) STRICT, WITHOUT ROWID;
",
    r"
CREATE INDEX deployment_place ON deployment (project, infrastructure, id);
",
    r"
ALTER TABLE infrastructure ADD COLUMN credential BLOB;
ALTER TABLE infrastructure ADD COLUMN credential_version INTEGER NOT NULL DEFAULT 0;
",
    r"
CREATE TABLE approver (
    infrastructure TEXT NOT NULL REFERENCES infrastructure (id) ON DELETE CASCADE,
    grp TEXT NOT NULL, PRIMARY KEY (infrastructure, grp)
) STRICT, WITHOUT ROWID;

CREATE TABLE approval (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    deployment TEXT NOT NULL REFERENCES deployment (id) ON DELETE CASCADE,
    project TEXT NOT NULL, version TEXT NOT NULL, infrastructure TEXT NOT NULL,
    plan_digest TEXT NOT NULL, diff TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'rejected', 'withdrawn')),
    requester TEXT NOT NULL, reason TEXT, created_at INTEGER NOT NULL,
    decider TEXT, comment TEXT, decided_at INTEGER
) STRICT;
CREATE INDEX approval_plan ON approval (deployment, plan_digest, seq);
CREATE INDEX approval_pending ON approval (seq) WHERE state = 'pending';

ALTER TABLE deployment ADD COLUMN findings TEXT NOT NULL DEFAULT '[]';
",
    // A result stays when its deployment goes, so whose it is stands here by uuid, and no reference leads there.
    r"
CREATE TABLE test_result (
    seq INTEGER PRIMARY KEY, project TEXT NOT NULL, version TEXT NOT NULL, digest TEXT NOT NULL, service TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('PASSED', 'FAILED', 'ABORTED')),
    exit_code INTEGER, message TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
    deployment TEXT NOT NULL, deployment_uuid TEXT NOT NULL, infrastructure TEXT NOT NULL, number INTEGER NOT NULL,
    requester TEXT NOT NULL,
    UNIQUE (deployment_uuid, number, service),
    FOREIGN KEY (project, version) REFERENCES bundle (project, version) ON DELETE CASCADE
) STRICT;
CREATE INDEX test_result_bundle ON test_result (project, digest, service, seq);
CREATE INDEX test_result_version ON test_result (project, version);
",
    r"
ALTER TABLE deployment ADD COLUMN deployed_project TEXT;
ALTER TABLE api_key ADD COLUMN parent TEXT;
CREATE INDEX api_key_parent ON api_key (parent) WHERE parent IS NOT NULL;
CREATE INDEX update_asked ON deployment_update (deployment, created_at);
",
    // What belongs to one group, whatever it is: a stream, a pipeline, a context. A deployment of one has a project of its
    // own, which keeps its definitions as bundles and its group as a grant, and which is hidden.
    r"
CREATE TABLE resource (
    uuid TEXT PRIMARY KEY, noun TEXT NOT NULL, name TEXT NOT NULL, grp TEXT, spec TEXT NOT NULL,
    created_at INTEGER NOT NULL, created_by TEXT NOT NULL, updated_at INTEGER NOT NULL, revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX resource_noun ON resource (noun, uuid);
CREATE INDEX resource_grp ON resource (noun, grp, uuid);

CREATE TABLE resource_secret (
    resource TEXT NOT NULL REFERENCES resource (uuid) ON DELETE CASCADE, name TEXT NOT NULL,
    version INTEGER NOT NULL, sealed BLOB NOT NULL, updated_at INTEGER NOT NULL,
    PRIMARY KEY (resource, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE deployment_resource (
    deployment TEXT NOT NULL REFERENCES deployment (id) ON DELETE CASCADE,
    resource TEXT NOT NULL REFERENCES resource (uuid), PRIMARY KEY (deployment, resource)
) STRICT, WITHOUT ROWID;
CREATE INDEX deployment_resource_resource ON deployment_resource (resource, deployment);

ALTER TABLE project ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment ADD COLUMN kind TEXT NOT NULL DEFAULT 'bundle';
ALTER TABLE deployment ADD COLUMN source TEXT;
ALTER TABLE deployment ADD COLUMN removal TEXT;
CREATE INDEX deployment_removal ON deployment (id) WHERE removal IS NOT NULL;
",
];

/// Migrations of `observed.db`: not acknowledged facts, rebuilt from the engines when lost.
pub const OBSERVED: &[&str] = &[
    r"
CREATE TABLE slot (
    infrastructure TEXT NOT NULL, engine_id TEXT NOT NULL, deployment TEXT NOT NULL, service TEXT NOT NULL,
    state TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (infrastructure, engine_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX slot_deployment ON slot (deployment);

CREATE TABLE deployment_state (
    deployment TEXT PRIMARY KEY, rank INTEGER NOT NULL, health TEXT NOT NULL, sync TEXT NOT NULL,
    ready INTEGER NOT NULL, wanted INTEGER NOT NULL, messages TEXT NOT NULL, changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX deployment_state_rank ON deployment_state (rank, deployment);

CREATE TABLE engine_state (
    infrastructure TEXT PRIMARY KEY, reachable INTEGER NOT NULL, message TEXT NOT NULL, report TEXT, at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE engine_event (
    seq INTEGER PRIMARY KEY, infrastructure TEXT NOT NULL, deployment TEXT NOT NULL, service TEXT NOT NULL,
    slot INTEGER NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE INDEX engine_event_deployment ON engine_event (deployment, seq);
",
    r"
CREATE TABLE object (
    infrastructure TEXT NOT NULL, uid TEXT NOT NULL, deployment TEXT NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (infrastructure, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_deployment ON object (deployment);
",
    r"
ALTER TABLE slot ADD COLUMN answer TEXT;
",
];
