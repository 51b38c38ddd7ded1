//! Three people sign in at the provider: what each sees, and what each is refused, with the reason.

use serde_json::json;
use slipway::domain::access::{InfrastructureRight, ProjectRight};

use super::{Browser, WIDE};
use crate::harness::Team;
use crate::oidc::provider::TestProvider;
use crate::oidc::settings;

/// A team whose people sign in at a provider of its own: `ml-deployers` deploy, `data-science` look.
struct House {
    team: Team,
    _provider: TestProvider,
}

impl House {
    async fn start() -> Self {
        let provider = TestProvider::start().await;
        let team = Team::start().await;
        provider.add_client("slipway-it", &team.it.base).await;
        team.it.instance.auth.use_provider(settings(&provider.issuer, &team.it.base)).unwrap();
        team.it.grant_project("iris", "ml-deployers", ProjectRight::Deploy).await;
        team.it.grant_infrastructure("local", "ml-deployers", InfrastructureRight::Deploy).await;
        team.it.grant_project("iris", "data-science", ProjectRight::View).await;
        team.it.grant_infrastructure("local", "data-science", InfrastructureRight::View).await;
        team.deployment(json!({})).await;
        team.update().await;
        team.healthy("HEALTHY").await;
        Self { team, _provider: provider }
    }

    /// A browser in which somebody signed in by the button and the provider's own form.
    async fn browser_of(&self, who: &str) -> Browser {
        let browser = Browser::open(WIDE).await;
        browser.go(&format!("{}/deployments", self.team.it.base)).await;
        browser.see("h1", "Sign in").await;
        browser.press_words("Sign in with the test provider").await;
        browser.fill("input[name=login]", who).await;
        browser.fill("input[name=password]", "any").await;
        browser.press("form button[type=submit]").await;
        browser.see("h1", "Deployments").await;
        browser
    }

    async fn visit(&self, browser: &Browser, path: &str) {
        browser.go(&format!("{}{path}", self.team.it.base)).await;
    }
}

/// An action that is shown and disabled: pressing it leads nowhere, and having the focus it says why.
async fn refused(browser: &Browser, label: &str) -> String {
    let before = browser.client.current_url().await.unwrap();
    let script = format!(
        "const button = [...document.querySelectorAll('button[aria-disabled=true]')].find((each) => each.textContent.trim() === {label:?});
         if (!button) return '';
         button.focus();
         button.click();
         const reason = document.getElementById(button.getAttribute('aria-describedby'));
         return reason.checkVisibility({{ visibilityProperty: true }}) ? reason.innerText : 'hidden';"
    );
    let reason = browser.ask(&script).await.as_str().unwrap_or_default().to_owned();
    assert!(!reason.is_empty(), "{label} is not shown as refused at {before}");
    assert_eq!(browser.client.current_url().await.unwrap(), before);
    reason
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_sees_and_may_do_everything() {
    let house = House::start().await;
    let alice = house.browser_of("alice").await;
    assert!(alice.texts(".side a").await.contains(&"Administration".to_owned()));
    house.visit(&alice, "/deployments/iris-on-local").await;
    alice.press_words("Update…").await;
    alice.press_words("Update now").await;
    alice.see("#pills", "Succeeded").await;
    assert!(alice.see("#pills", "by Alice Admin").await.contains("from the console"));
    for (path, words) in
        [("/admin", "Users"), ("/admin/journal", "Verify the chain"), ("/infrastructures/new", "Make")]
    {
        house.visit(&alice, path).await;
        alice.see("main", words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployer_deploys_and_rules_nothing() {
    let house = House::start().await;
    let bob = house.browser_of("bob").await;
    assert!(!bob.texts(".side a").await.contains(&"Administration".to_owned()));
    house.visit(&bob, "/deployments/iris-on-local").await;
    bob.press_words("Update…").await;
    bob.press_words("Update now").await;
    bob.see("#pills", "Succeeded").await;
    house.visit(&bob, "/infrastructures").await;
    let reason = refused(&bob, "New infrastructure").await;
    assert!(reason.contains("administrator"), "{reason}");
    house.visit(&bob, "/projects/iris/permissions").await;
    let reason = bob.see(".message", "You may look, not change").await;
    assert!(reason.contains("admin on project iris"), "{reason}");
    house.visit(&bob, "/admin").await;
    bob.see("h1", "Not allowed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_is_told_which_right_is_missing_and_who_gives_it() {
    let house = House::start().await;
    let dave = house.browser_of("dave").await;
    house.visit(&dave, "/deployments/iris-on-local").await;
    dave.see("#live", "api").await;
    for label in ["Update…", "Stop…", "Roll back…", "Promote…"] {
        let reason = refused(&dave, label).await;
        assert!(
            reason.contains("right deploy on project iris and on infrastructure local"),
            "{label}: {reason}"
        );
        assert!(reason.contains("Somebody with admin"), "{label}: {reason}");
    }
    house.visit(&dave, "/projects/iris").await;
    for label in ["Upload a bundle", "New deployment"] {
        let reason = refused(&dave, label).await;
        assert!(reason.contains("project iris") && reason.contains("admin"), "{label}: {reason}");
    }
    house.visit(&dave, "/projects/iris/bundles/1.0").await;
    assert!(refused(&dave, "Deploy to…").await.contains("admin"));
    house.visit(&dave, "/deployments/iris-on-local/settings").await;
    dave.see(".message", "You may look, not change").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_no_group_sees_nothing_of_others_and_why() {
    let house = House::start().await;
    let carol = house.browser_of("carol").await;
    carol.see("main", "No deployment yet, or none that you may see").await;
    for (path, labels) in [
        ("/", &["Upload a bundle", "New deployment", "New project"][..]),
        ("/projects", &["Upload a bundle", "New project"]),
        ("/deployments", &["New deployment"]),
    ] {
        house.visit(&carol, path).await;
        for label in labels {
            let reason = refused(&carol, label).await;
            assert!(reason.contains("you are in no"), "{path} {label}: {reason}");
            assert!(reason.contains("administrator"), "{path} {label}: {reason}");
        }
    }
    house.visit(&carol, "/deployments/iris-on-local").await;
    let there = carol.see("main", "or you may not see it").await;
    house.visit(&carol, "/deployments/nothing-there").await;
    let absent = carol.see("main", "or you may not see it").await;
    let plain =
        |text: &str, id: &str| text.replace(id, "ID").split("Request").next().unwrap_or_default().to_owned();
    assert_eq!(
        plain(&there, "iris-on-local"),
        plain(&absent, "nothing-there"),
        "hidden and absent look alike"
    );
}
