//! Pages fit narrow windows, follow the theme, and run nothing that somebody typed.

use super::{Browser, WIDE, Window, administrator};
use crate::harness::Team;

const PAGES: &[&str] = &[
    "/",
    "/projects",
    "/projects/iris",
    "/projects/iris/bundles/1.0",
    "/deployments",
    "/deployments/iris-on-local",
    "/deployments/iris-on-local/updates/1",
    "/deployments/iris-on-local/settings",
    "/deployments/iris-on-local/logs",
    "/infrastructures/local",
    "/admin/journal",
    "/account/keys",
];

const PAYLOAD: &str = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>";

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_a_phone_and_run_nothing_that_was_typed() {
    let team = Team::start().await;
    administrator(&team.it).await;
    team.deployment(serde_json::json!({})).await;
    team.update().await;
    let admin = team.it.session("Eve", &["admins"]).await;
    let fields = [("description", PAYLOAD), ("tags", PAYLOAD), ("revision", "1")];
    admin.form("/projects/iris/settings", &fields).await.expect(303);
    admin.form("/projects/iris/permissions", &[("group", PAYLOAD), ("right", "view")]).await.expect(303);
    admin.form("/deployments/iris-on-local/update", &[("reason", PAYLOAD)]).await.expect(303);
    let browser = Browser::open(Window { width: 320, scripts: true }).await;
    browser.sign_in(&team.it).await;
    for path in
        PAGES.iter().copied().chain(["/projects/iris/permissions", "/deployments/iris-on-local/updates/2"])
    {
        browser.go(&format!("{}{path}", team.it.base)).await;
        let wide = browser.ask("return document.documentElement.scrollWidth - innerWidth").await;
        assert!(wide.as_i64().unwrap() <= 0, "{path} is {wide} px too wide");
        let title = browser.client.title().await.unwrap();
        assert!(title.ends_with("· Slipway"), "{path}: {title}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_theme_changes_at_once_and_is_kept() {
    let team = Team::start().await;
    administrator(&team.it).await;
    let browser = Browser::open(WIDE).await;
    browser.sign_in(&team.it).await;
    let ground = "return getComputedStyle(document.documentElement).backgroundColor";
    let light = browser.ask(ground).await;
    browser.press(".me > summary").await;
    browser.press(".theme button[value=dark]").await;
    browser.wait("return document.documentElement.dataset.theme === 'dark'").await;
    let dark = browser.ask(ground).await;
    assert_ne!(light, dark);
    browser.client.refresh().await.unwrap();
    assert_eq!(browser.ask(ground).await, dark);
}
