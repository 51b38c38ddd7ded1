//! What the store promises: durable or refused, one instance, a journal that shows tampering.

use std::path::Path;

use slipway::bus::{Bus, Topic};
use slipway::domain::access::Caller;
use slipway::domain::clock::{Clock as _, SystemClock};
use slipway::domain::{Error, Kind};
use slipway::store::audit::{self, Entry, JournalKey, Verdict};
use slipway::store::{Mode, Store, meta};

fn open(dir: &Path) -> Store {
    Store::open(dir, Bus::new(), Mode::Lead).unwrap()
}

async fn note(store: &Store, object: &'static str) {
    store
        .write(move |tx| {
            let caller = Caller::system();
            let detail = serde_json::json!({ "z": 1, "a": [true, null] });
            let entry =
                Entry { caller: &caller, action: "tested", noun: "test", object, reason: None, detail };
            audit::append(tx, &JournalKey([7; 32]), &entry, SystemClock.now())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_failed_job_takes_back_only_its_own_work() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let set = |key: &'static str, good: bool| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(move |tx| {
                    meta::set(tx, key, "1")?;
                    if good { Ok(()) } else { Err(Error::conflict("no", "not this one")) }
                })
                .await
        })
    };
    let tasks = [set("a", true), set("b", false), set("c", true)];
    let mut good = Vec::new();
    for task in tasks {
        good.push(task.await.unwrap().is_ok());
    }
    assert_eq!(good, [true, false, true]);
    let kept =
        store.read(|db| Ok(["a", "b", "c"].map(|key| meta::get(db, key).unwrap().is_some()))).await.unwrap();
    assert_eq!(kept, [true, false, true]);
}

#[tokio::test]
async fn a_panicking_job_harms_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let error = store.write::<(), _>(|_| panic!("on purpose")).await.unwrap_err();
    assert_eq!(error.kind, Kind::Internal);
    store.write(|tx| meta::set(tx, "after", "1")).await.unwrap();
}

#[tokio::test]
async fn topics_are_published_only_after_the_commit_and_only_when_it_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut heard = store.bus().subscribe();
    let failed: Result<(), Error> = store
        .write(|tx| {
            tx.publish(Topic::Stages);
            Err(Error::conflict("no", "taken back"))
        })
        .await;
    failed.unwrap_err();
    store
        .write(|tx| {
            tx.publish(Topic::Work);
            meta::set(tx, "seen", "1")
        })
        .await
        .unwrap();
    assert_eq!(heard.recv().await.unwrap(), Topic::Work);
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn what_is_acknowledged_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.write(|tx| meta::set(tx, "kept", "yes")).await.unwrap();
    drop(store);
    let value =
        Store::open(dir.path(), Bus::new(), Mode::Beside).unwrap().read(|db| meta::get(db, "kept")).await;
    assert_eq!(value.unwrap().as_deref(), Some("yes"));
}

#[tokio::test]
async fn a_second_instance_is_refused_and_the_command_line_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path());
    let error = Store::open(dir.path(), Bus::new(), Mode::Lead).err().unwrap();
    assert_eq!(error.code, "second_instance");
    assert!(error.to_string().contains("--data-dir"), "{error}");
    assert!(Store::open(dir.path(), Bus::new(), Mode::Beside).is_ok());
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let raw = rusqlite::Connection::open(dir.path().join("slipway.db")).unwrap();
    raw.pragma_update(None, "user_version", 9_999).unwrap();
    drop(raw);
    // The writer of the dropped store may still hold the lock for a moment.
    let mut error = None;
    for _ in 0..50 {
        error = Store::open(dir.path(), Bus::new(), Mode::Lead).err();
        if error.as_ref().is_some_and(|error| error.code != "second_instance") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(error.unwrap().code, "newer_schema");
}

#[tokio::test]
async fn the_journal_shows_every_kind_of_tampering() {
    let tampering = [
        ("nothing", "SELECT 1", None),
        ("a changed word", "UPDATE journal SET actor = 'mallory' WHERE sequence = 2", Some(2)),
        ("a changed time", "UPDATE journal SET at = at + 1 WHERE sequence = 3", Some(3)),
        ("a removed entry", "DELETE FROM journal WHERE sequence = 2", Some(2)),
        ("a renumbered entry", "UPDATE journal SET sequence = 9 WHERE sequence = 3", Some(3)),
    ];
    for (what, sql, broken) in tampering {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for object in ["one", "two", "three"] {
            note(&store, object).await;
        }
        let raw = rusqlite::Connection::open(dir.path().join("slipway.db")).unwrap();
        if broken.is_some() {
            assert!(raw.execute_batch(sql).is_err(), "{what}: the table itself must refuse it");
        }
        raw.execute_batch(
            "DROP TRIGGER journal_is_append_only_update; DROP TRIGGER journal_is_append_only_delete",
        )
        .unwrap();
        raw.execute_batch(sql).unwrap();
        let verdict = store.read(|db| audit::verify(db, &JournalKey([7; 32]))).await.unwrap();
        let expected = broken.map_or(Verdict::Whole { entries: 3 }, |sequence| Verdict::Broken { sequence });
        assert_eq!(verdict, expected, "{what}");
        let stranger = store.read(|db| audit::verify(db, &JournalKey([8; 32]))).await.unwrap();
        assert_eq!(stranger, Verdict::Broken { sequence: 1 }, "without the key nobody can forge it");
    }
}

#[tokio::test]
async fn nobody_else_can_read_the_databases() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.write(|tx| meta::set(tx, "a", "b")).await.unwrap();
    for name in ["slipway.db", "slipway.db-wal", "observed.db"] {
        let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
}

#[tokio::test]
async fn a_short_read_runs_where_it_was_asked_and_a_long_one_lets_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let here = std::thread::current().id();
    let count = |rows: u32| {
        store.read(move |db| {
            let sql = "WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < ?1) SELECT max(n) FROM c";
            let counted: u32 = db.prepare_cached(sql)?.query_row([rows], |row| row.get(0))?;
            Ok((counted, std::thread::current().id()))
        })
    };
    assert_eq!(count(1).await.unwrap(), (1, here));
    let (counted, elsewhere) = count(100_000).await.unwrap();
    assert_eq!(counted, 100_000);
    assert_ne!(elsewhere, here);
    // Whatever is left of the budget when a read ends, its answer is whole, and the next one sees what was written since.
    for turn in 0..900 {
        store.write(move |tx| meta::set(tx, "turn", &turn.to_string())).await.unwrap();
        let rows = turn * 10;
        assert_eq!(count(rows).await.unwrap().0, rows);
        let seen = store.read(|db| meta::get(db, "turn")).await.unwrap();
        assert_eq!(seen, Some(turn.to_string()));
    }
}
