//! Prints Slipway's figures beside their references, product and reference interleaved in one run, as medians.
//!
//!     cargo bench --bench figures            all of them
//!     cargo bench --bench figures -- page    those whose name holds a word
//!
//! Needs a Docker engine on /var/run/docker.sock with the image `busybox:lab` (`tests/lab/lab docker`), and for `cluster`
//! a Kubernetes (`tests/lab/lab k8s`). Every object it makes on the engine carries the prefix `slwbench` or a throw-away
//! instance's label, and is removed at the end.

#![expect(
    clippy::disallowed_methods,
    reason = "figures use the machine's clock, and start product and references"
)]

mod cluster;
mod engine;
mod events;
mod fill;
#[path = "../../tests/it/harness/process.rs"]
mod house;
mod kubelet;
#[path = "../../tests/it/kubernetes/lab.rs"]
#[expect(dead_code, reason = "the tests ask more of a cluster")]
mod lab;
mod list;
mod load;
mod logs;
mod memory;
mod open_page;
mod page;
mod probe;
mod raw;
mod start;
mod stats;
mod ten;
mod updates;
#[path = "../../tests/it/browser/window.rs"]
#[expect(dead_code, reason = "the tests ask more of a window")]
mod window;

use std::time::Duration;

/// One line of the result.
pub struct Figure {
    pub name: String,
    pub value: String,
    pub reference: String,
    pub ratio: String,
    pub aim: &'static str,
}

fn main() {
    slipway::tls::install();
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("{:<58} {:>16} {:>16} {:>9}  aim", "figure", "slipway", "reference", "ratio");
    runtime.block_on(async {
        macro_rules! run {
            ($($name:literal => $figures:expr),* $(,)?) => {$(
                if wanted($name) {
                    for figure in $figures.await {
                        let Figure { name, value, reference, ratio, aim } = figure;
                        println!("{name:<58} {value:>16} {reference:>16} {ratio:>9}  {aim}");
                    }
                }
            )*};
        }
        run! {
            "start" => start::figures(),
            "ten" => ten::figures(),
            "updates" => updates::figures(),
            "page" => page::figures(),
            "list" => list::figures(),
            "logs" => logs::figures(),
            "events" => events::figures(),
            "open-page" => open_page::figures(),
            "memory" => memory::figures(),
            "cluster" => cluster::figures(),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
}
