//! Holds `docs/compose.md` to the tables: what the documentation says of a key is what the parser does.

use super::*;
use crate::compose::keys::Keys;

/// Every level with its title in the documentation.
const LEVELS: [(&str, &Keys); 26] = [
    ("top level", &TOP),
    ("services.*", &SERVICE),
    ("services.*.build", &BUILD),
    ("services.*.deploy", &DEPLOY),
    ("services.*.deploy.update_config", &UPDATE_CONFIG),
    ("services.*.deploy.resources", &RESOURCES),
    ("services.*.deploy.resources.limits", &LIMITS),
    ("services.*.deploy.resources.reservations", &RESERVATIONS),
    ("services.*.healthcheck", &HEALTHCHECK),
    ("services.*.depends_on.*", &DEPENDENCY),
    ("services.*.ports[]", &PORT),
    ("services.*.volumes[]", &MOUNT),
    ("services.*.volumes[].bind", &MOUNT_BIND),
    ("services.*.volumes[].volume", &MOUNT_VOLUME),
    ("services.*.volumes[].tmpfs", &MOUNT_TMPFS),
    ("services.*.networks.*", &SERVICE_NETWORK),
    ("services.*.ulimits.*", &ULIMIT),
    ("services.*.secrets[], services.*.configs[]", &FILE_REFERENCE),
    ("services.*.env_file[]", &ENV_FILE),
    ("services.*.x-slipway", &SLIPWAY),
    ("services.*.x-slipway.metrics", &METRICS),
    ("volumes.*", &VOLUME),
    ("networks.*", &NETWORK),
    ("secrets.*", &SECRET),
    ("configs.*", &CONFIG),
    ("x-slipway", &SLIPWAY_TOP),
];

/// The documentation's list of refused keys, as the tables give it.
fn refused() -> String {
    let mut text = String::new();
    for (title, keys) in LEVELS.iter().filter(|(_, keys)| !keys.refused.is_empty()) {
        text += &format!("\n### `{title}`\n\n| key | instead |\n| --- | --- |\n");
        for (key, advice) in keys.refused {
            text += &format!("| `{key}` | {} |\n", advice.replace('|', "\\|"));
        }
    }
    text
}

#[test]
fn the_documentation_lists_every_refused_key() {
    let page = include_str!("../../../docs/compose.md");
    let (_, listed) = page.split_once("<!-- refused keys -->\n").unwrap();
    if listed != refused() {
        let path = std::env::temp_dir().join("compose-refused.md");
        std::fs::write(&path, refused()).unwrap();
        panic!("docs/compose.md is behind the tables: put {} after its marker", path.display());
    }
}

#[test]
fn the_documentation_names_every_supported_key() {
    let page = include_str!("../../../docs/compose.md");
    for (title, keys) in LEVELS {
        for key in keys.supported {
            assert!(
                page.contains(&format!("`{key}`")) || page.contains(&format!("`{key}:")),
                "{title}: {key}"
            );
        }
    }
}

#[test]
fn no_key_is_both_supported_and_refused() {
    for (title, keys) in LEVELS {
        let refused = keys.refused.iter().chain(keys.mistaken).map(|(key, _)| *key);
        let mut seen = std::collections::BTreeSet::new();
        for key in keys.supported.iter().copied().chain(refused) {
            assert!(seen.insert(key), "{title}: {key}");
        }
    }
}
