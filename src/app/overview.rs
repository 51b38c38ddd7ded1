//! What the home page shows: what runs where, and what needs somebody.

use super::App;
use crate::domain::Result;
use crate::domain::access::Caller;
use crate::domain::name::ProjectKey;
use crate::domain::page::PageRequest;
use crate::domain::stage::Stage;
use crate::store;
use crate::store::deployment::{Filter, Sort, Summary};
pub use crate::store::overview::Place;
use crate::store::project;

/// How many deployments the strip of those in need names.
const MOST_NEEDY: u32 = 6;

/// Everything on the home page, from one moment.
#[derive(Debug)]
pub struct Overview {
    pub stages: Vec<Stage>,
    /// Which infrastructures the caller sees, each with its stage.
    pub infrastructures: Vec<(String, crate::domain::name::StageId)>,
    pub projects: Vec<ProjectKey>,
    /// The cursor of the next projects; `None` at the end.
    pub next: Option<String>,
    pub places: Vec<Place>,
    /// The worst first.
    pub attention: Vec<Summary>,
    pub attention_count: u64,
    pub deployment_count: u64,
}

/// Projects by stages, filtered by a part of the project's key.
pub async fn get(app: &App, caller: &Caller, text: Option<String>, page: PageRequest) -> Result<Overview> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let filter = project::Filter { text, tag: None };
            let mut found = project::list(db, &subject, &filter, page.after.as_deref(), page.limit + 1)?;
            let more = found.len() > page.limit as usize;
            found.truncate(page.limit as usize);
            let projects: Vec<ProjectKey> = found.into_iter().map(|(project, _)| project.key).collect();
            let needy = Filter {
                attention: true,
                sort: Sort::Health,
                ..Filter::default()
            };
            let (deployment_count, attention_count) = store::overview::counts(db, &subject)?;
            let infrastructures = store::infrastructure::list(db, &subject)?
                .into_iter()
                .map(|(infrastructure, _)| (infrastructure.id.to_string(), infrastructure.stage))
                .collect();
            Ok(Overview {
                stages: store::stage::list(db)?,
                infrastructures,
                next: projects.last().filter(|_| more).map(ToString::to_string),
                places: store::overview::places(db, &subject, &projects)?,
                attention: store::deployment::list(db, &subject, &needy, None, MOST_NEEDY)?,
                attention_count,
                deployment_count,
                projects,
            })
        })
        .await
}
