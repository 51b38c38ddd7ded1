//! Every page, as everyone.

use super::{Dom, Visitors, page, text};

/// Pages that everyone who may see the deployment has.
const SEEN: &[(&str, &str)] = &[
    ("/", "Home · Slipway"),
    ("/projects", "Projects · Slipway"),
    ("/projects/iris", "iris · projects · Slipway"),
    ("/projects/iris/deployments", "iris · projects · Slipway"),
    ("/projects/iris/settings", "iris · projects · Slipway"),
    ("/projects/iris/permissions", "iris · projects · Slipway"),
    ("/projects/iris/activity", "iris · projects · Slipway"),
    ("/projects/iris/bundles/1.0", "1.0 · projects · Slipway"),
    ("/projects/iris/bundles/1.1/diff?with=1.0", "1.0 → 1.1 · projects · Slipway"),
    ("/deployments", "Deployments · Slipway"),
    ("/deployments/iris-on-local", "iris on local · deployments · Slipway"),
    ("/deployments/iris-on-local/updates", "iris on local · deployments · Slipway"),
    ("/deployments/iris-on-local/updates/1", "Update 1 · deployments · Slipway"),
    ("/deployments/iris-on-local/update", "Update · deployments · Slipway"),
    ("/deployments/iris-on-local/logs", "iris on local · deployments · Slipway"),
    ("/deployments/iris-on-local/metrics", "iris on local · deployments · Slipway"),
    ("/deployments/iris-on-local/settings", "iris on local · deployments · Slipway"),
    ("/deployments/iris-on-local/settings?view=json", "iris on local · deployments · Slipway"),
    ("/deployments/iris-on-local/history", "iris on local · deployments · Slipway"),
    ("/infrastructures", "Infrastructures · Slipway"),
    ("/infrastructures/local", "local · infrastructures · Slipway"),
    ("/infrastructures/local/settings", "local · infrastructures · Slipway"),
    ("/infrastructures/local/permissions", "local · infrastructures · Slipway"),
    ("/infrastructures/local/activity", "local · infrastructures · Slipway"),
];

/// Pages that take `deploy`.
const ACTED: &[&str] = &[
    "/deployments/iris-on-local/stop",
    "/deployments/iris-on-local/roll-back",
    "/deployments/iris-on-local/promote",
    "/deployments/iris-on-local/delete",
];

/// Pages that take an administrator.
const RULED: &[&str] = &[
    "/admin",
    "/admin/keys",
    "/admin/stages",
    "/admin/journal",
    "/admin/system",
    "/infrastructures/new",
    "/infrastructures/local/delete",
];

/// Pages that everyone who is signed in has, whatever they may see.
const OWN: &[&str] = &[
    "/",
    "/projects",
    "/projects/new",
    "/upload",
    "/deployments",
    "/deployments/new",
    "/pipelines",
    "/pipelines/new",
    "/streams",
    "/streams/new",
    "/infrastructures",
    "/search?q=iris",
    "/account",
    "/account/keys",
    "/account/sessions",
];

#[tokio::test]
async fn every_page_shows_to_whom_it_may_and_hides_from_others() {
    let it = Visitors::deployed().await;
    for (path, title) in SEEN {
        for client in [&it.admin, &it.deployer, &it.viewer] {
            assert_eq!(page(client, path).await.text("title"), *title, "{path}");
        }
        if path.contains("iris") || path.contains("/local") {
            it.stranger.get(path).await.expect(404);
        }
        let nobody = it.team.it.nobody().header("accept", "text/html").get(path).await.expect(303);
        assert!(nobody.header("location").unwrap().starts_with("/login?to="), "{path}");
    }
    for path in ACTED {
        it.deployer.get(path).await.expect(200);
        it.viewer.get(path).await.expect(403);
        it.stranger.get(path).await.expect(404);
    }
    for path in RULED {
        it.admin.get(path).await.expect(200);
        it.deployer.get(path).await.expect(403);
    }
    for path in OWN {
        it.stranger.get(path).await.expect(200);
    }
}

#[tokio::test]
async fn every_page_keeps_the_manners() {
    let it = Visitors::deployed().await;
    let paths = SEEN.iter().map(|(path, _)| *path).chain(ACTED.iter().copied()).chain(RULED.iter().copied());
    for path in paths.chain(OWN.iter().copied()) {
        let answer = it.admin.get(path).await.expect(200);
        let dom = Dom::of(&answer);
        assert!(
            dom.all("[style], script:not([src]), [onclick], [onload]").is_empty(),
            "{path}: nothing inline"
        );
        assert_eq!(dom.all("h1").len(), 1, "{path}: one heading");
        let headings: Vec<u32> =
            dom.all("h1, h2, h3, h4").iter().map(|each| each.value().name()[1..].parse().unwrap()).collect();
        assert!(
            headings.windows(2).all(|pair| pair[1] <= pair[0] + 1),
            "{path}: headings in order {headings:?}"
        );
        for form in dom.all("form[method=post]") {
            let token = scraper::Selector::parse("input[name=csrf]").unwrap();
            assert!(form.select(&token).next().is_some(), "{path}: {} has a token", form.html());
        }
        labelled(&dom, path);
        let mut ids: Vec<&str> = dom.all("[id]").iter().filter_map(|each| each.attr("id")).collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "{path}: ids are unique");
    }
}

fn labelled(dom: &Dom, path: &str) {
    for control in dom.all("input:not([type=hidden]), select, textarea") {
        let id = control.attr("id").unwrap_or_default();
        let by_for = !id.is_empty() && !dom.all(&format!("label[for=\"{id}\"]")).is_empty();
        let inside = control
            .ancestors()
            .filter_map(scraper::ElementRef::wrap)
            .any(|each| each.value().name() == "label");
        assert!(
            by_for || inside || control.attr("aria-label").is_some(),
            "{path}: {} has a label",
            control.html()
        );
    }
}

#[tokio::test]
async fn a_refused_action_is_seen_and_says_why() {
    let it = Visitors::deployed().await;
    let seen = page(&it.viewer, "/deployments/iris-on-local").await;
    let buttons = seen.all("[aria-disabled=true]");
    let update = buttons.iter().find(|button| text(**button) == "Update…").expect("it is shown");
    let reason = seen.text(&format!("#{}", update.attr("aria-describedby").unwrap()));
    assert!(reason.contains("the right deploy on project iris and on infrastructure local"), "{reason}");
    assert!(reason.contains("Somebody with admin"), "{reason}");
    assert!(seen.all("form[action$='/resume'], a[href$='/update']").is_empty());
    let refused = it.viewer.form("/deployments/iris-on-local/update", &[]).await.expect(403);
    assert!(Dom::of(&refused).text("main").contains("deploy"));
}

#[tokio::test]
async fn the_home_page_has_a_cell_for_each_place_and_names_who_needs_somebody() {
    let it = Visitors::deployed().await;
    let home = page(&it.viewer, "/").await;
    assert_eq!(home.texts(".matrix thead th"), ["Project", "Dev · local", "Test", "Prod"]);
    let cell = home.text(".matrix a.cell");
    assert!(cell.starts_with("iris-on-local: 1.0Healthy"), "{cell}");
    assert!(home.all(".attention").is_empty(), "nothing needs anybody");
    let change = serde_json::json!({ "spec": { "bundle": "1.1" } });
    it.team.deployer.patch("/api/v1/deployments/iris-on-local", &change).await.expect(200);
    it.team.healthy("OUT_OF_SYNC").await;
    let home = page(&it.viewer, "/").await;
    let line = home.text(".attention li");
    assert!(
        line.contains("Out of sync") && line.contains("iris-on-local") && line.contains("See the plan"),
        "{line}"
    );
    assert_eq!(home.text(".matrix a.cell b"), "1.0", "the version that runs, not the one that is wanted");
    assert!(page(&it.stranger, "/").await.all(".matrix, .attention").is_empty());
}

#[tokio::test]
async fn the_home_page_stays_short_however_many_deployments_there_are() {
    let it = Visitors::start().await;
    for number in 1..=7 {
        let spec = serde_json::json!({ "project": "iris", "bundle": "1.0", "infrastructure": "local" });
        let body = serde_json::json!({ "name": format!("iris-{number}"), "spec": spec });
        it.team.deployer.post("/api/v1/deployments", &body).await.expect(200);
    }
    for client in [&it.admin, &it.viewer] {
        let home = page(client, "/").await;
        assert_eq!(home.all(".matrix a.cell:not(.more)").len(), 4);
        let more = home.attribute(".matrix a.more", "href").unwrap();
        assert_eq!(more, "/deployments?project=iris&stage=dev");
        assert_eq!(page(client, &more).await.all("tbody tr").len(), 7);
        assert_eq!(home.text(".bar .hint"), "All 7 in Deployments");
    }
    assert_eq!(page(&it.stranger, "/").await.text(".bar .hint"), "");
    assert_eq!(
        page(&it.viewer, "/projects").await.attribute(".spots a:last-child", "href").unwrap(),
        "/deployments?project=iris"
    );
}

#[tokio::test]
async fn the_list_is_filtered_sorted_and_exported_by_its_url() {
    let it = Visitors::deployed().await;
    let more = serde_json::json!({ "name": "iris-canary", "spec": { "project": "iris", "bundle": "1.1", "infrastructure": "local" } });
    it.team.deployer.post("/api/v1/deployments", &more).await.expect(200);
    let names = async |query: &str| page(&it.viewer, &format!("/deployments{query}")).await.texts("tbody th");
    assert_eq!(names("").await, ["iris-canary", "iris-on-local"]);
    assert_eq!(names("?sort=-id").await, ["iris-on-local", "iris-canary"]);
    assert_eq!(names("?q=canary").await, ["iris-canary"]);
    assert_eq!(names("?health=HEALTHY").await, ["iris-on-local"]);
    assert_eq!(names("?stage=prod").await, Vec::<String>::new());
    it.viewer.get("/deployments?sort=nonsense").await.expect(400);
    it.viewer.get("/deployments?after=nonsense").await.expect(400);
    let csv = it.viewer.get("/deployments.csv?health=HEALTHY").await.expect(200);
    let rows: Vec<&str> = csv.text.lines().collect();
    assert_eq!(rows.len(), 2);
    assert!(
        rows[0].starts_with("id,uuid,name,project,bundle") && rows[1].starts_with("iris-on-local,"),
        "{}",
        csv.text
    );
    let link = page(&it.viewer, "/deployments?q=canary&sort=-id").await.attribute("a[download]", "href");
    assert_eq!(link.as_deref(), Some("/deployments.csv?q=canary&sort=-id"));
}

#[tokio::test]
async fn what_was_typed_into_any_field_is_text() {
    let it = Visitors::deployed().await;
    let payload = "\"><img src=x onerror=alert(1)>{{7*7}}<script>alert(1)</script>";
    let saved = it
        .admin
        .form("/projects/iris/settings", &[("description", payload), ("tags", payload), ("revision", "1")])
        .await;
    saved.expect(303);
    it.deployer.form("/deployments/iris-on-local/update", &[("reason", payload)]).await.expect(303);
    it.admin.form("/projects/iris/permissions", &[("group", payload), ("right", "view")]).await.expect(303);
    for path in [
        "/projects",
        "/projects/iris",
        "/projects/iris/settings",
        "/projects/iris/permissions",
        "/projects/iris/activity",
        "/deployments/iris-on-local/updates/2",
        "/deployments/iris-on-local/history",
        "/admin",
        "/admin/journal",
        &format!("/search?q={}", "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E"),
        &format!("/deployments?q={}", "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E"),
    ] {
        let answer = it.admin.get(path).await.expect(200);
        let dom = Dom::of(&answer);
        assert!(dom.all("img, script:not([src]), [onerror]").is_empty(), "{path}");
        assert!(answer.text.contains("onerror=alert(1)"), "{path} shows what was typed");
        assert!(!answer.text.contains("49&lt;script"), "{path}: nothing is evaluated");
    }
}

#[tokio::test]
async fn everything_goes_through_the_prefix() {
    let team =
        crate::harness::Team::on(crate::harness::TestApp::builder().base_path("/slipway").start().await)
            .await;
    let it = Visitors::with(team).await;
    it.team.deployment(serde_json::json!({})).await;
    for path in [
        "/",
        "/projects",
        "/projects/iris",
        "/deployments",
        "/deployments/iris-on-local",
        "/account/keys",
        "/upload",
    ] {
        let dom = page(&it.admin, path).await;
        for (css, name) in
            [("[href]", "href"), ("[src]", "src"), ("form[action]", "action"), ("[hx-get]", "hx-get")]
        {
            for each in dom.all(css) {
                let link = each.attr(name).unwrap();
                let ours = link.starts_with("/slipway/")
                    || link.starts_with('#')
                    || link.starts_with("http://127.0.0.1");
                assert!(ours, "{path}: {link}");
            }
        }
    }
}

#[tokio::test]
async fn a_deployment_shows_what_its_engine_says_of_each_service() {
    let it = Visitors::deployed().await;
    let dom = page(&it.viewer, "/deployments/iris-on-local").await;
    let link = dom.attribute("#s-api td[data-label='Reached at'] a", "href").unwrap();
    let told = it.viewer.get("/api/v1/deployments/iris-on-local/slots").await.expect(200).json();
    assert_eq!(told[0]["endpoints"][0]["url"], link.as_str(), "{told}");
    assert!(link.starts_with("http://127.0.0.1:"), "{link}");
    let said = dom.texts("#conditions details.said > summary");
    assert_eq!(said, ["api Container: Running", "cache Container: Running"]);
    assert!(dom.all("#conditions details[open]").is_empty(), "closed until somebody wants to know");
    let titles = dom.texts("#said-api .object h3");
    assert_eq!(titles, ["Container iris-on-local-api-0"]);
    let row = dom.texts("#said-api tbody tr:first-child > *");
    assert_eq!((row[0].as_str(), row[1].as_str(), row[3].as_str()), ("Running", "True", "Running"));
    let labels = dom.texts("#said-api .object:nth-of-type(1) .facts > *");
    assert!(labels.windows(2).any(|pair| pair == ["io.slipway.service", "api"]), "{labels:?}");
}
