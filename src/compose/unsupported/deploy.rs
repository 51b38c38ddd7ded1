//! Keys of `deploy` and below.

use crate::compose::keys::Keys;

const TASK_ORDER: &str = "Remove it; an update starts new replicas, waits until they are healthy, then removes the old. \
                          Only `order` can be chosen.";

pub const DEPLOY: Keys = Keys {
    noun: "deploy",
    example: "`replicas: 2`",
    supported: &["mode", "replicas", "resources", "update_config"],
    refused: &[
        ("endpoint_mode", "Remove it: peers reach all replicas by the service's name."),
        ("labels", "Write the labels under the service's own `labels`."),
        ("placement", "Remove it: where a deployment runs is decided by its infrastructure."),
        (
            "restart_policy",
            "Use the service's `restart` instead: always, unless-stopped, on-failure[:N] or \"no\".",
        ),
        (
            "rollback_config",
            "Remove it: a failed update leaves the old revision serving, and any update can be rolled back to.",
        ),
    ],
    mistaken: &[("limits", "Write `resources: {limits: …}`."), ("scale", "Write `replicas`.")],
};

pub const UPDATE_CONFIG: Keys = Keys {
    noun: "update_config",
    example: "`order: start-first`",
    supported: &["order"],
    refused: &[
        ("parallelism", TASK_ORDER),
        ("delay", TASK_ORDER),
        ("failure_action", "Remove it: a failed update always leaves the old revision serving."),
        ("monitor", "Remove it: the service's `healthcheck` decides whether new replicas are well."),
        ("max_failure_ratio", "Remove it: an update fails as soon as one replica does not get healthy."),
    ],
    mistaken: &[],
};

pub const RESOURCES: Keys = Keys {
    noun: "resources",
    example: "`limits: {cpus: \"0.5\", memory: 512M}`",
    supported: &["limits", "reservations"],
    refused: &[],
    mistaken: &[
        ("cpus", "Write it under `limits` or `reservations`."),
        ("memory", "Write it under `limits` or `reservations`."),
        ("requests", "Write `reservations`."),
    ],
};

pub const LIMITS: Keys = Keys {
    noun: "limits",
    example: "`memory: 512M`",
    supported: &["cpus", "memory", "pids"],
    refused: &[],
    mistaken: &[("cpu", "Write `cpus`."), ("mem", "Write `memory`.")],
};

pub const RESERVATIONS: Keys = Keys {
    noun: "reservations",
    example: "`memory: 256M`",
    supported: &["cpus", "memory"],
    refused: &[
        ("pids", "Use `limits.pids`; processes are not set aside."),
        (
            "devices",
            "GPUs are not supported yet; a device can be named under the service's `devices` with an administrator's exception.",
        ),
        ("generic_resources", "Remove it: where a deployment runs is decided by its infrastructure."),
    ],
    mistaken: &[("cpu", "Write `cpus`."), ("mem", "Write `memory`.")],
};
