//! Keys of a service and of its build.

use super::{NETWORK, ONE_FILE};
use crate::compose::keys::Keys;

const LIMIT: &str = "Use `deploy.resources.limits.cpus`, `.memory` and `.pids` instead.";
const CPUS: &str = "Use `deploy.resources.limits.cpus` instead, e.g. `\"0.5\"`.";
const PEERS: &str = "Remove it: services of a workload reach each other by service name.";
const DNS: &str = "Remove it: containers resolve names as the infrastructure's engine does.";
const BUILDER: &str =
    "Remove it: it concerns the builder's machine. What the image needs belongs into the Dockerfile.";
const HOOK: &str = "Remove it; what must run before or beside a service is a service of its own with \
                    `x-slipway.kind: task` and `depends_on`.";

pub const SERVICE: Keys = Keys {
    noun: "a service",
    example: "`image: redis:7`",
    supported: &[
        "build",
        "cap_add",
        "cap_drop",
        "cgroup",
        "command",
        "configs",
        "cpus",
        "depends_on",
        "deploy",
        "devices",
        "entrypoint",
        "env_file",
        "environment",
        "expose",
        "healthcheck",
        "image",
        "init",
        "ipc",
        "labels",
        "mem_limit",
        "mem_reservation",
        "network_mode",
        "pid",
        "pids_limit",
        "ports",
        "privileged",
        "read_only",
        "restart",
        "scale",
        "secrets",
        "security_opt",
        "stdin_open",
        "stop_grace_period",
        "tty",
        "user",
        "volumes",
        "working_dir",
        "x-slipway",
    ],
    refused: &[
        ("annotations", "Use `labels` instead."),
        ("attach", "Remove it: Slipway keeps the logs of every service."),
        ("blkio_config", LIMIT),
        ("cgroup_parent", LIMIT),
        (
            "container_name",
            "Remove it: Slipway names containers, so that replicas and updates do not collide. Peers reach the \
             service by its service name.",
        ),
        ("cpu_count", CPUS),
        ("cpu_percent", CPUS),
        ("cpu_period", CPUS),
        ("cpu_quota", CPUS),
        ("cpu_rt_period", CPUS),
        ("cpu_rt_runtime", CPUS),
        ("cpu_shares", CPUS),
        ("cpuset", CPUS),
        ("credential_spec", "Remove it: it concerns Windows containers."),
        (
            "develop",
            "Remove it: it is for `docker compose watch` on a developer's machine.",
        ),
        (
            "device_cgroup_rules",
            "Name the devices themselves under `devices`; each needs an administrator's exception.",
        ),
        ("dns", DNS),
        ("dns_opt", DNS),
        ("dns_search", DNS),
        ("domainname", PEERS),
        ("driver_opts", NETWORK),
        ("extends", ONE_FILE),
        (
            "external_links",
            "Give the other system's address as environment in the deployment's settings.",
        ),
        (
            "extra_hosts",
            "Give the address as environment in the deployment's settings, or have it in the DNS.",
        ),
        (
            "gpus",
            "GPUs are not supported yet; a device can be named under `devices` with an administrator's exception.",
        ),
        (
            "group_add",
            "Name user and group together: `user: \"1000:1000\"`.",
        ),
        ("hostname", PEERS),
        ("isolation", "Remove it: it concerns Windows containers."),
        ("label_file", "Write the labels under `labels`."),
        (
            "links",
            "Remove it: services reach each other by service name; for the order of start use `depends_on`.",
        ),
        (
            "logging",
            "Remove it: Slipway keeps and rotates the logs of every service.",
        ),
        ("mac_address", NETWORK),
        ("mem_swappiness", LIMIT),
        ("memswap_limit", LIMIT),
        (
            "models",
            "Run the model server as a service with an image of its own.",
        ),
        ("networks", NETWORK),
        (
            "oom_kill_disable",
            "Set `deploy.resources.limits.memory` high enough instead.",
        ),
        (
            "oom_score_adj",
            "Set `deploy.resources.limits.memory` high enough instead.",
        ),
        (
            "platform",
            "Remove it: images run on the architecture of the infrastructure's engine.",
        ),
        ("post_start", HOOK),
        ("pre_start", HOOK),
        (
            "pre_stop",
            "Handle SIGTERM in the program; `stop_grace_period` gives it the time.",
        ),
        (
            "profiles",
            "Remove it: all services of a bundle run. For another set publish another bundle, or set replicas to 0.",
        ),
        (
            "provider",
            "Run what it provides as a service with an image of its own.",
        ),
        (
            "pull_policy",
            "Remove it: an update pulls what is missing, and keeps to the digest it found.",
        ),
        (
            "pull_refresh_after",
            "Remove it: name another tag to run another image.",
        ),
        (
            "runtime",
            "Remove it: containers run under the engine's own runtime.",
        ),
        (
            "shm_size",
            "Remove it: containers have the engine's 64 MiB of shared memory. For PyTorch's loaders use \
             `torch.multiprocessing.set_sharing_strategy('file_system')`.",
        ),
        (
            "stop_signal",
            "Write `STOPSIGNAL …` in the image's Dockerfile, or handle SIGTERM.",
        ),
        ("storage_opt", "Write what is large to a named volume."),
        (
            "sysctls",
            "Remove it: kernel settings belong to the host and its administrator.",
        ),
        (
            "tmpfs",
            "Write to a path of the container that nothing mounts, or to a named volume.",
        ),
        (
            "ulimits",
            "Remove it; for processes use `deploy.resources.limits.pids`.",
        ),
        (
            "use_api_socket",
            "Remove it: whoever holds the engine's socket owns the host.",
        ),
        (
            "userns_mode",
            "Remove it: containers keep the engine's user namespace.",
        ),
        ("uts", "Remove it: containers keep a host name of their own."),
        ("volumes_from", "Name the volume in each service's `volumes`."),
    ],
    mistaken: &[
        (
            "args",
            "Build arguments belong under `build.args`, arguments of the program into `command`.",
        ),
        ("cmd", "Write `command`."),
        ("context", "Write `build: {context: …}`."),
        ("cpu", CPUS),
        ("dockerfile", "Write `build: {context: …, dockerfile: …}`."),
        ("env", "Write `environment`."),
        ("limits", "Write `deploy: {resources: {limits: …}}`."),
        ("memory", "Use `deploy.resources.limits.memory`."),
        ("metrics", "Write `x-slipway: {metrics: {port: …, path: …}}`."),
        (
            "name",
            "Remove it: the service's name is the key it stands under.",
        ),
        ("replicas", "Write `deploy: {replicas: …}`."),
        ("resources", "Write `deploy: {resources: …}`."),
        ("restart_policy", "Write `restart`."),
        ("workdir", "Write `working_dir`."),
    ],
};

pub const BUILD: Keys = Keys {
    noun: "a build",
    example: "`context: .`",
    supported: &["context", "dockerfile", "args", "target"],
    refused: &[
        (
            "additional_contexts",
            "Put what the build needs into the one context, a folder of the bundle.",
        ),
        ("cache_from", BUILDER),
        ("cache_to", BUILDER),
        (
            "dockerfile_inline",
            "Write it as a file of the bundle and name it under `dockerfile`.",
        ),
        ("entitlements", BUILDER),
        ("extra_hosts", BUILDER),
        ("isolation", BUILDER),
        ("labels", "Write `LABEL …` in the Dockerfile."),
        ("network", BUILDER),
        (
            "no_cache",
            "Remove it: a build starts anew when a file of its context changed.",
        ),
        (
            "no_cache_filter",
            "Remove it: a build starts anew when a file of its context changed.",
        ),
        (
            "platforms",
            "Remove it: images are built for the architecture of the infrastructure's engine.",
        ),
        ("privileged", BUILDER),
        ("provenance", BUILDER),
        (
            "pull",
            "Remove it: base images are pulled where they are missing.",
        ),
        ("sbom", BUILDER),
        (
            "secrets",
            "Take what needs secrets out of the build: fetch it beforehand into the bundle, or at run time.",
        ),
        ("shm_size", BUILDER),
        (
            "ssh",
            "Fetch beforehand what the build would fetch over SSH, and put it into the bundle.",
        ),
        ("tags", "Remove it: Slipway names what it builds."),
        ("ulimits", BUILDER),
    ],
    mistaken: &[
        ("path", "Write `context`."),
        (
            "image",
            "It belongs beside `build`, and only one of the two may be there.",
        ),
    ],
};
