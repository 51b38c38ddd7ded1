//! What is kept, and what an interruption leaves.

use super::*;

#[tokio::test]
async fn uploads_are_bounded_and_leave_nothing() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path()).await.unwrap();
    let mut upload = store.begin(10).await.unwrap();
    upload.write(&[1; 10]).await.unwrap();
    assert_eq!(upload.write(&[1]).await.unwrap_err().kind, Kind::TooLarge);
    drop(upload);
    assert_eq!(written(data.path()), Vec::<String>::new());
}

#[tokio::test]
async fn blobs_are_kept_once_listed_read_and_deleted() {
    use tokio::io::AsyncReadExt as _;
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path()).await.unwrap();
    let bytes = with(Raw::stored("a/b", b"content"));
    let mut digests = Vec::new();
    for _ in 0..2 {
        let mut upload = store.begin(1 << 20).await.unwrap();
        upload.write(&bytes).await.unwrap();
        digests.push(store.commit(upload.finish().await.unwrap()).await.unwrap());
    }
    assert_eq!(store.list().await.unwrap(), digests[..1]);
    let digest = &digests[0].digest;
    let mut read = Vec::new();
    store.open_blob(digest).await.unwrap().read_to_end(&mut read).await.unwrap();
    assert_eq!(read, bytes);

    let limits = Limits::default();
    assert_eq!(store.read_file(digest, "a/b", limits).await.unwrap(), b"content");
    for absent in ["a", "a/c", "a/b/c"] {
        assert_eq!(
            store.read_file(digest, absent, limits).await.unwrap_err().kind,
            Kind::NotFound,
            "{absent}"
        );
    }
    assert_eq!(store.read_file(digest, "../../blobs/x", limits).await.unwrap_err().kind, Kind::Invalid);

    store.delete(digest).await.unwrap();
    store.delete(digest).await.unwrap();
    assert_eq!(store.open_blob(digest).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(store.unpack(digest, limits).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(written(data.path()), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_interrupted_is_never_taken_for_complete() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path()).await.unwrap();
    let mut upload = store.begin(1 << 20).await.unwrap();
    upload.write(&with(Raw::stored("a", b"x"))).await.unwrap();
    let blob = store.commit(upload.finish().await.unwrap()).await.unwrap();
    // As a kill would leave them: half an upload, half an unpacking.
    std::fs::write(data.path().join("blobs/tmp/half"), b"PK").unwrap();
    std::fs::create_dir_all(data.path().join("unpacked/tmp/half")).unwrap();
    std::fs::write(data.path().join("unpacked/tmp/half/compose.yaml"), b"ser").unwrap();

    let store = Store::open(data.path()).await.unwrap();
    store.sweep().await.unwrap();
    assert_eq!(written(data.path()), [format!("blobs/{}", blob.digest)]);
    let all =
        futures_util::future::join_all((0..8).map(|_| store.unpack(&blob.digest, Limits::default()))).await;
    let folder = all.into_iter().map(Result::unwrap).next().unwrap();
    assert_eq!(written(&folder), ["a", "compose.yaml"]);
    assert_eq!(written(&data.path().join("unpacked/tmp")), Vec::<String>::new());
}
