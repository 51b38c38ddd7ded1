//! Pipelines and streams in the console, as forms and pages: made, edited, deployed, refused with the field, deleted.

use slipway::engine::fake::Faults;

use super::{Dom, Visitors, page};

/// The path that a form's answer leads to.
async fn to(client: &crate::harness::Client, path: &str, fields: &[(&str, &str)]) -> String {
    client.form(path, fields).await.expect(303).header("location").unwrap().to_owned()
}

#[tokio::test]
async fn a_pipeline_is_made_deployed_changed_and_deleted_by_forms() {
    let it = Visitors::start().await;
    let empty = page(&it.deployer, "/pipelines").await;
    assert!(empty.text(".empty").contains("No pipeline yet"), "{}", empty.text("main"));
    let options = "bootstrap.servers: kafka:9092\nsasl.jaas.config: c4n4ry\n";
    let orders =
        to(&it.deployer, "/streams/new", &[("name", "orders"), ("kind", "KAFKA"), ("options", options)])
            .await;
    let clean = to(&it.deployer, "/streams/new", &[("name", "clean"), ("kind", "KAFKA")]).await;
    let shown = page(&it.deployer, &orders).await;
    assert!(shown.text("#options").contains("sasl.jaas.config********"), "{}", shown.text("#options"));
    let (stream_in, stream_out) =
        (orders.trim_start_matches("/streams/"), clean.trim_start_matches("/streams/"));
    let fields = [
        ("name", "clean orders"),
        ("image", "team/clean:1"),
        ("stream-in", stream_in),
        ("stream-out", stream_out),
        ("infrastructure", "local"),
        ("config", "batch: 5"),
        ("rest", "steps: [{kind: Map}]"),
    ];
    let pipeline = to(&it.deployer, "/pipelines/new", &fields).await;
    let shown = page(&it.deployer, &pipeline).await;
    assert_eq!(shown.text("h1"), "clean orders");
    assert!(shown.text("#config").contains("batch5"));
    assert!(shown.text(".snippet").contains("\"kind\": \"Map\""), "{}", shown.text("main"));
    let form = page(&it.deployer, &format!("{pipeline}/edit")).await;
    assert_eq!(form.attribute("#f-image", "value").as_deref(), Some("team/clean:1"));
    assert_eq!(form.attribute("#f-stream-in option[selected]", "value").as_deref(), Some(stream_in));

    let fields = [("name", "mine"), ("infrastructure", "local"), ("replicas", "2"), ("config", "batch: 7")];
    let deployment = to(&it.deployer, &format!("{pipeline}/deploy"), &fields).await;
    it.team.ended(&format!("/api/v1{deployment}/updates/1")).await;
    let shown = page(&it.deployer, &deployment).await;
    assert_eq!(shown.text("h1"), "mine");
    assert!(shown.text("main").contains("clean orders"), "it leads to its pipeline");
    assert!(shown.all(&format!("a[href='{pipeline}']")).len() == 1);
    for tail in [
        "/updates",
        "/updates/1",
        "/logs",
        "/metrics",
        "/settings",
        "/history",
        "/update",
        "/roll-back",
        "/delete",
    ] {
        let below = it.deployer.get(&format!("{deployment}{tail}")).await;
        assert_eq!(below.status, 200, "{tail}");
        let below = Dom::of(&below);
        assert!(!below.text("main").contains("/projects/"), "{tail}");
        assert!(below.all("main a[href^='/projects/']").is_empty(), "{tail} leads into the hidden project");
    }
    let listed = page(&it.deployer, "/deployments").await;
    assert!(listed.text("tbody").contains("mine") && listed.text("tbody").contains("pipeline clean orders"));
    let csv = it.deployer.get("/deployments.csv").await.expect(200);
    assert!(csv.text.contains("mine"), "{}", csv.text);

    let form = page(&it.deployer, &format!("{deployment}/pipeline")).await;
    assert_eq!(form.attribute("#f-replicas", "value").as_deref(), Some("2"));
    assert!(form.text("#f-config").contains("\"batch\": 7"));
    to(
        &it.deployer,
        &format!("{deployment}/pipeline"),
        &[("name", "mine"), ("replicas", "1"), ("config", "")],
    )
    .await;
    it.team.ended(&format!("/api/v1{deployment}/updates/2")).await;
    let now = it.team.deployer.get(&format!("/api/v1{deployment}")).await.expect(200).json();
    assert_eq!(
        (&now["spec"]["replicas"], &now["spec"]["config"]),
        (&serde_json::json!(1), &serde_json::Value::Null)
    );

    let asked = page(&it.deployer, &format!("{deployment}/delete")).await;
    assert!(asked.text("main").contains("It is stopped first"), "{}", asked.text("main"));
    it.deployer.form(&format!("{deployment}/delete"), &[("confirm", "wrong")]).await.expect(422);
    it.deployer.form(&format!("{deployment}/delete"), &[("confirm", "mine")]).await.expect(303);
    for _ in 0..400 {
        if it.deployer.get(&deployment).await.status == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    it.deployer.get(&deployment).await.expect(404);
    let refused = it.deployer.form(&format!("{orders}/delete"), &[("confirm", "orders")]).await.expect(409);
    assert!(
        Dom::of(&refused).text(".trouble").contains("clean orders"),
        "{}",
        Dom::of(&refused).text("main")
    );
    it.deployer.form(&format!("{pipeline}/delete"), &[("confirm", "clean orders")]).await.expect(303);
    it.deployer.form(&format!("{orders}/delete"), &[("confirm", "orders")]).await.expect(303);
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_what_was_typed_stays() {
    let it = Visitors::start().await;
    let wrong =
        it.deployer.form("/streams/new", &[("name", ""), ("kind", "KAFKA"), ("options", "a: 1")]).await;
    assert_eq!(Dom::of(&wrong.expect(400)).all("#f-name-error").len(), 1);
    let wrong = it
        .deployer
        .form("/streams/new", &[("name", "x"), ("kind", "KAFKA"), ("options", "a: [1\n")])
        .await
        .expect(400);
    let wrong = Dom::of(&wrong);
    assert!(wrong.text("#f-options-error").contains("Line 1:4"), "{}", wrong.text("#f-options-error"));
    assert_eq!(wrong.attribute("#f-name", "value").as_deref(), Some("x"));
    let wrong = it
        .deployer
        .form("/streams/new", &[("name", "x"), ("kind", "KAFKA"), ("options", "a: [1]")])
        .await
        .expect(400);
    assert!(
        Dom::of(&wrong).text("#f-options-error").contains("Option a: "),
        "{}",
        Dom::of(&wrong).text("main")
    );
    let fields = [("name", "p"), ("config", "a: b"), ("rest", "image: x"), ("replicas", "many")];
    let wrong = Dom::of(&it.deployer.form("/pipelines/new", &fields).await.expect(400));
    assert!(wrong.text("#f-rest-error").contains("Image has a field of its own"), "{}", wrong.text("main"));
    assert!(wrong.text("#f-config").contains("a: b"), "what was typed stays");
    let pipeline = to(&it.deployer, "/pipelines/new", &[("name", "p")]).await;
    let wrong =
        it.deployer.form(&format!("{pipeline}/deploy"), &[("name", "d"), ("infrastructure", "local")]).await;
    assert!(Dom::of(&wrong.expect(400)).text("#f-stream-in-config-error").contains("names no stream-in"));
    // Somebody else saved first.
    let body = [("name", "q"), ("revision", "1")];
    it.deployer.form(&format!("{pipeline}/edit"), &body).await.expect(303);
    let stale =
        it.deployer.form(&format!("{pipeline}/edit"), &[("name", "r"), ("revision", "1")]).await.expect(412);
    assert_eq!(Dom::of(&stale).attribute("#f-name", "value").as_deref(), Some("r"));
}

#[tokio::test]
async fn to_others_neither_page_nor_form_is_there() {
    let it = Visitors::start().await;
    let stream = to(&it.deployer, "/streams/new", &[("name", "orders"), ("kind", "KAFKA")]).await;
    let pipeline = to(
        &it.deployer,
        "/pipelines/new",
        &[
            ("name", "p"),
            ("infrastructure", "local"),
            ("stream-in", stream.trim_start_matches("/streams/")),
            ("stream-out", stream.trim_start_matches("/streams/")),
        ],
    )
    .await;
    let deployment =
        to(&it.deployer, &format!("{pipeline}/deploy"), &[("name", "d"), ("infrastructure", "local")]).await;
    for other in [&it.viewer, &it.stranger] {
        let paths =
            ["", "/edit", "/delete"].map(|tail| [format!("{stream}{tail}"), format!("{pipeline}{tail}")]);
        for path in paths.iter().flatten().chain([
            &format!("{pipeline}/deploy"),
            &format!("{deployment}/pipeline"),
            &deployment,
        ]) {
            other.get(path).await.expect(404);
        }
        for path in [
            format!("{stream}/edit"),
            format!("{pipeline}/edit"),
            format!("{pipeline}/deploy"),
            format!("{deployment}/pipeline"),
        ] {
            other.form(&path, &[("name", "mine")]).await.expect(404);
        }
        other.form(&format!("{stream}/delete"), &[("confirm", "orders")]).await.expect(404);
        assert!(page(other, "/pipelines").await.text(".empty").contains("No pipeline yet"));
    }
    // A member of the group who may not deploy there sees it, and is told which right is missing.
    let member = it.team.it.session("Eve", &["ml-readers"]).await;
    it.team
        .it
        .grant_infrastructure("local", "ml-readers", slipway::domain::access::InfrastructureRight::View)
        .await;
    let own =
        to(&member, "/pipelines/new", &[("name", "own"), ("stream-in", ""), ("infrastructure", "")]).await;
    let form = page(&member, &format!("{own}/deploy")).await;
    assert!(
        form.text("#f-infrastructure").contains("takes deploy on it"),
        "{}",
        form.text("#f-infrastructure")
    );
    it.deployer.get("/deployments/iris-on-local/pipeline").await.expect(404);
}

#[tokio::test]
async fn a_program_that_is_not_well_is_seen_at_its_replica() {
    let it = Visitors::start().await;
    let mut streams = Vec::new();
    for name in ["orders", "clean"] {
        let made = to(&it.deployer, "/streams/new", &[("name", name), ("kind", "KAFKA")]).await;
        streams.push(made.trim_start_matches("/streams/").to_owned());
    }
    let fields = [
        ("name", "p"),
        ("image", "team/clean:1"),
        ("stream-in", streams[0].as_str()),
        ("stream-out", streams[1].as_str()),
        ("infrastructure", "local"),
    ];
    let pipeline = to(&it.deployer, "/pipelines/new", &fields).await;
    let deployment =
        to(&it.deployer, &format!("{pipeline}/deploy"), &[("name", "d"), ("replicas", "2")]).await;
    it.team.ended(&format!("/api/v1{deployment}/updates/1")).await;
    let address = crate::api_pipeline::answering(&[("/q/health", 503, "DOWN")]).await;
    let faults = Faults { answers_at: Some(address), ..Faults::default() };
    it.team.it.fake.controls().fault(&"datacater-deployment".parse().unwrap(), faults);
    let mut shown = page(&it.deployer, &deployment).await;
    for _ in 0..200 {
        if shown.text("main").contains("A program is not well") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        shown = page(&it.deployer, &deployment).await;
    }
    let rows = shown.texts("#services tbody tr");
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].contains("Unhealthy") && !rows[0].contains("Healthy"), "{rows:?}");
    assert!(
        rows[1].contains("Unhealthy") && rows[1].contains("asked for its health, it answers 503"),
        "{rows:?}"
    );
}
