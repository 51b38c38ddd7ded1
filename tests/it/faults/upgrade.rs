//! An upgrade that is killed anywhere: the next start ends it, nothing is lost, and a backup of before is there.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use slipway::store::schema;

use super::somewhere_within;

const ROUNDS: usize = 10;
const ROWS: u32 = 30_000;

/// A database as the first release left it, with so much in it that the backup takes its time.
fn first_release(dir: &Path) {
    let mut db = rusqlite::Connection::open(dir.join("slipway.db")).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.execute_batch(schema::MAIN[0]).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    let filling = "x".repeat(2_000);
    let tx = db.transaction().unwrap();
    for number in 0..ROWS {
        tx.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", (format!("kept-{number:06}"), &filling))
            .unwrap();
    }
    tx.commit().unwrap();
}

/// What a database says of itself: its version, how much of what must not be lost is there, and whether it is sound.
fn look(path: &Path) -> (u32, u32, String) {
    let db = rusqlite::Connection::open(path).unwrap();
    let one = |sql: &str| db.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    let kept = one("SELECT count(*) FROM meta WHERE key LIKE 'kept-%' AND length(value) = 2000");
    let sound = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    (one("PRAGMA user_version"), kept, sound)
}

/// Starts the server of this version and kills it some time within its first moments.
async fn started_and_killed(dir: &Path, within: u64) -> u64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir);
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().unwrap();
    let at = somewhere_within(within).await;
    child.kill().unwrap();
    child.wait().unwrap();
    at
}

/// Starts the server and lets it do its work; then ends it in good order.
fn upgraded(dir: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    // The address is printed once everything is open.
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert!(child.wait().unwrap().success() && line.contains("http"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_that_is_killed_anywhere_loses_nothing() {
    assert!(schema::MAIN.len() > 1, "there is nothing to upgrade from");
    let original = tempfile::tempdir().unwrap();
    first_release(original.path());
    let newest = schema::MAIN.len() as u32;
    let mut cut_off = 0;
    for round in 0..ROUNDS {
        let dir = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(original.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
        }
        let mut killed = Vec::new();
        for _ in 0..3 {
            killed.push(started_and_killed(dir.path(), 250).await);
            let (version, kept, sound) = look(&dir.path().join("slipway.db"));
            assert!(version >= 1 && version <= newest, "{version}");
            assert_eq!((kept, sound.as_str()), (ROWS, "ok"), "round {round}, killed after {killed:?} ms");
            cut_off += usize::from(version < newest);
        }
        upgraded(dir.path());
        assert_eq!(look(&dir.path().join("slipway.db")), (newest, ROWS, "ok".to_owned()), "round {round}");
        let path = dir.path().join("slipway.schema-1.db");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        let backup = look(&path);
        assert_eq!(
            (backup.0, mode & 0o777),
            (1, 0o600),
            "the backup is of before the upgrade, and nobody else's"
        );
        assert_eq!((backup.1, backup.2.as_str()), (ROWS, "ok"), "the backup, killed after {killed:?} ms");
    }
    println!("{cut_off} of {} starts were cut off before the upgrade was done", ROUNDS * 3);
    assert!(cut_off > 0, "no kill came in time, so this test tried nothing");
}
