//! The console through the front door, as a browser without scripts sees it.

mod approvals;
mod executions;
mod flows;
mod live;
mod pages;
mod pipelines;
pub mod table;
mod testing;

use scraper::{ElementRef, Html, Selector};

use crate::harness::{Answer, Client, Team};

/// A page, parsed.
pub struct Dom(Html);

impl Dom {
    /// The page of an answer.
    pub fn of(answer: &Answer) -> Self {
        Self(Html::parse_document(&answer.text))
    }

    /// Every element that matches.
    pub fn all(&self, css: &str) -> Vec<ElementRef<'_>> {
        let selector = Selector::parse(css).unwrap();
        self.0.select(&selector).collect()
    }

    /// The text of the first element that matches, white space folded; empty when none does.
    pub fn text(&self, css: &str) -> String {
        self.all(css).first().map(|found| text(*found)).unwrap_or_default()
    }

    /// The texts of all elements that match.
    pub fn texts(&self, css: &str) -> Vec<String> {
        self.all(css).into_iter().map(text).collect()
    }

    /// An attribute of the first element that matches.
    pub fn attribute(&self, css: &str, name: &str) -> Option<String> {
        self.all(css).first().and_then(|found| found.attr(name)).map(ToOwned::to_owned)
    }
}

/// An element's text, white space folded.
pub fn text(element: ElementRef<'_>) -> String {
    element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The team, with its sessions.
pub struct Visitors {
    pub team: Team,
    pub admin: Client,
    pub deployer: Client,
    pub viewer: Client,
    pub stranger: Client,
}

impl Visitors {
    /// Everyone signed in; `iris` has two bundles, nothing is deployed.
    pub async fn start() -> Self {
        Self::with(Team::start().await).await
    }

    /// The same with a team that the test made.
    pub async fn with(team: Team) -> Self {
        Self {
            admin: team.it.session("Alice Admin", &["admins"]).await,
            deployer: team.it.session("Bob Deployer", &["ml"]).await,
            viewer: team.it.session("Carol Viewer", &["readers"]).await,
            stranger: team.it.session("Dan Stranger", &["strangers"]).await,
            team,
        }
    }

    /// The same with `iris-on-local` deployed and running.
    pub async fn deployed() -> Self {
        let visitors = Self::start().await;
        visitors.team.deployment(serde_json::json!({})).await;
        visitors.team.update().await;
        visitors.team.healthy("HEALTHY").await;
        visitors
    }
}

/// A page that has to be there.
pub async fn page(client: &Client, path: &str) -> Dom {
    Dom::of(&client.get(path).await.expect(200))
}
