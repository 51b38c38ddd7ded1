//! One deployment: the frame that its pages share, and its overview.

pub mod actions;
pub mod create;
pub mod history;
pub mod metrics;
pub mod objects;
pub mod services;
pub mod settings;
pub mod test;

use actix_web::web;
use askama::Template;

use self::objects::SaidOf;
use self::services::ServiceView;
use self::test::TestsView;
use super::executions;
use super::home::{Shown, position};
use super::page::{Note, Page, Query, Section, State, Tab, Tone, plural};
use super::update::UpdateRow;
use super::visit::{Answer, Visit};
use crate::app::deployment::{self, Detail};
use crate::app::{self, App, execution, update};
use crate::domain::access::{Authorized, Caller};
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::diff::Change;
use crate::domain::health::Health;
use crate::domain::infrastructure::{GovernPolicy, Infrastructure};
use crate::domain::name::DeploymentId;
use crate::domain::page::PageRequest;
use crate::domain::pipeline::PipelineUse;
use crate::domain::plan::{Downtime, Plan};
use crate::domain::update::{Update, UpdateKind, UpdateState};
use crate::domain::{Error, Result};
use crate::http::routes::Routes;
use crate::store::deployment::list::Summary;
use crate::store::observation::EngineNote;

/// How many updates the overview lists.
const LAST_UPDATES: u32 = 5;

/// The routes of this file and those below it.
pub fn routes(routes: &mut Routes) {
    create::routes(routes);
    routes.get("/deployments/{id}", overview);
    actions::routes(routes);
    test::routes(routes);
    history::routes(routes);
    metrics::routes(routes);
    settings::routes(routes);
}

/// A deployment's id from a URL: one that is none is of no deployment.
pub(super) fn id_of(text: &str) -> Result<DeploymentId> {
    DeploymentId::parse(text).map_err(|_| Error::not_found("deployment", text))
}

/// What people call it: `churn on prod` where the id is derived, else the id.
pub(super) fn title(deployment: &Deployment) -> String {
    let derived = format!("{}-on-{}", deployment.project, deployment.infrastructure);
    if deployment.id.as_str() == derived {
        format!("{} on {}", deployment.project, deployment.infrastructure)
    } else {
        deployment.called().to_owned()
    }
}

/// What every page of one deployment shows: name, state, tabs.
pub(super) struct Frame {
    pub id: String,
    pub tabs: Vec<Tab>,
    /// Beside the heading, most important first.
    pub states: Vec<State>,
    pub may_deploy: bool,
    /// Why not, and who can change that.
    pub refusal: String,
    pub enabled: bool,
    /// Whether anything runs.
    pub runs: bool,
    /// What it runs, where that is no bundle.
    pub of_pipeline: Option<PipelineUse>,
    /// Whether it is one run of a context, which never changes.
    pub is_run: bool,
    /// It goes as soon as it has stopped.
    pub deleting: bool,
}

impl Frame {
    fn new(visit: &Visit, deployment: &Authorized<Deployment>, states: Vec<State>, current: &str) -> Self {
        let id = &deployment.id;
        let url = |tail: &str| visit.url(&format!("/deployments/{id}{tail}"));
        let is_run = deployment.source.execution().is_some();
        let overview = if is_run { visit.url(&format!("/executions/{id}")) } else { url("") };
        let tabs = [
            ("Overview", overview),
            ("Updates", url("/updates")),
            ("Logs", url("/logs")),
            ("Metrics", url("/metrics")),
            ("Settings", url("/settings")),
            ("History", url("/history")),
        ];
        // What one run is set to never changes.
        let tabs = tabs.into_iter().filter(|(label, _)| !is_run || *label != "Settings");
        Self {
            id: id.to_string(),
            tabs: Tab::all(current, tabs),
            states,
            may_deploy: deployment.may(DeploymentRight::Deploy),
            refusal: refusal(deployment),
            enabled: deployment.enabled,
            runs: deployment.running_update.is_some(),
            of_pipeline: deployment.source.pipeline().cloned(),
            is_run,
            deleting: deployment.removal.is_some(),
        }
    }

    /// The frame with the tab `current`.
    pub async fn of(
        visit: &Visit,
        deployment: &Authorized<Deployment>,
        summary: &Summary,
        current: &str,
    ) -> Result<Self> {
        let states = if deployment.source.execution().is_some() {
            let run = execution::get(&visit.app, &visit.caller, None, deployment.uuid).await?;
            vec![executions::state(&run)]
        } else {
            states(summary)
        };
        Ok(Self::new(visit, deployment, states, current))
    }

    /// The same of an execution whose state is known.
    pub fn of_run(visit: &Visit, deployment: &Authorized<Deployment>, state: State) -> Self {
        Self::new(visit, deployment, vec![state], "Overview")
    }

    /// Loads a deployment with the frame of its tab `current`.
    pub async fn load(
        visit: &Visit,
        id: DeploymentId,
        current: &str,
    ) -> Result<(Authorized<Deployment>, Self)> {
        let (deployment, summary) = deployment::with_summary(&visit.app, &visit.caller, id).await?;
        let frame = Self::of(visit, &deployment, &summary, current).await?;
        Ok((deployment, frame))
    }
}

/// The page's frame of a deployment's tab.
pub(super) fn page(visit: &Visit, deployment: &Deployment) -> Page {
    listed(visit, deployment, title(deployment))
}

/// The page's frame one level below a deployment.
pub(super) fn page_below(visit: &Visit, deployment: &Deployment, heading: impl Into<String>) -> Page {
    let path = match deployment.source.execution() {
        Some(_) => format!("/executions/{}", deployment.id),
        None => format!("/deployments/{}", deployment.id),
    };
    listed(visit, deployment, heading).below(title(deployment), &path)
}

/// Below the list that it stands in.
fn listed(visit: &Visit, deployment: &Deployment, heading: impl Into<String>) -> Page {
    match deployment.source.execution() {
        Some(_) => visit.page(heading, Section::Jobs).below("Executions", "/executions"),
        None => visit.page(heading, Section::Deployments).below("Deployments", "/deployments"),
    }
}

fn states(summary: &Summary) -> Vec<State> {
    let shown = Shown::of(summary);
    let mut states = vec![match shown.state() {
        state if summary.state.health == Health::Unhealthy => state.saying("Unhealthy"),
        state => state,
    }];
    let (ready, wanted) = (summary.state.ready, summary.state.wanted);
    if summary.deployment.running_update.is_some() && wanted > 0 {
        let words = format!("{ready} of {wanted} ready");
        states.push(if ready >= wanted { State::ok(words) } else { State::unhealthy(words) });
    }
    states
}

/// A deployment that the visitor may act on.
pub(super) async fn held(visit: &Visit, path: &str) -> Result<Authorized<Deployment>> {
    let held = deployment::get(&visit.app, &visit.caller, id_of(path)?).await?;
    deployment::refuse_run(&held)?;
    if held.may(DeploymentRight::Deploy) {
        return Ok(held);
    }
    Err(Error::forbidden("you may look at this deployment, not change it", refusal(&held)))
}

/// Which right is missing for what is disabled, and who can give it.
pub(super) fn refusal(deployment: &Deployment) -> String {
    let (project, infrastructure) = (&deployment.project, &deployment.infrastructure);
    if !deployment.source.is_bundle() {
        return format!(
            "This takes the right deploy on infrastructure {infrastructure}. Somebody with admin on it can give it to one of \
             your groups."
        );
    }
    format!(
        "This takes the right deploy on project {project} and on infrastructure {infrastructure}. Somebody with admin on \
         them can give it to one of your groups."
    )
}

#[derive(Template)]
#[template(path = "deployment/overview.html", blocks = ["pills", "buttons", "live"])]
struct Overview {
    page: Page,
    here: Query,
    frame: Frame,
    deployment: Deployment,
    infrastructure: Infrastructure,
    stage: String,
    notes: Vec<Note>,
    /// The update that is queued or runs, with where it stands.
    open: Option<(&'static str, u32, State, String)>,
    changes: Vec<Change>,
    downtime: Vec<Downtime>,
    digest: Option<String>,
    refused: Option<Note>,
    services: Vec<ServiceView>,
    said: Vec<SaidOf>,
    tests: Option<TestsView>,
    running: Option<(String, u32)>,
    updates: Vec<UpdateRow>,
    update_count: u32,
    secrets: usize,
    events: Vec<EngineNote>,
    may: String,
    governance: Option<State>,
}

async fn overview(visit: Visit, path: web::Path<String>) -> Answer {
    let id = id_of(&path)?;
    let (detail, updates, tests) = load(&visit.app, &visit.caller, id).await?;
    if detail.deployment.source.execution().is_some() {
        return Ok(visit.leave(&format!("/executions/{}", detail.deployment.uuid)));
    }
    let detail = detail.seen_from(visit.state().settings.base_url.host_str());
    let frame = Frame::of(&visit, &detail.deployment, &detail.summary, "Overview").await?;
    let page = Overview::new(&visit, frame, detail, &updates, tests);
    if visit.wants("live") {
        return visit.show_part(&Parts(&page));
    }
    visit.show(&page)
}

async fn load(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
) -> Result<(Detail, Vec<Update>, Option<TestsView>)> {
    let detail = deployment::detail(app, caller, id.clone()).await?;
    let updates = update::list(app, caller, id.clone(), PageRequest::first(LAST_UPDATES)).await?;
    // Those of what runs are those that can be run.
    let running = detail.running.as_ref().filter(|plan| !plan.workload.tests.is_empty());
    let version = running.map(|plan| plan.version.clone());
    let tests = TestsView::new(app::test::status(app, caller, id, version).await?);
    Ok((detail, updates.items, tests))
}

/// The parts that change while one looks: pills, buttons and the rest, in one answer.
#[derive(Template)]
#[template(source = "{{ self.0.as_pills() }}{{ self.0.as_buttons() }}{{ self.0.as_live() }}", ext = "txt")]
struct Parts<'a>(&'a Overview);

impl Overview {
    fn new(
        visit: &Visit,
        frame: Frame,
        detail: Detail,
        updates: &[Update],
        tests: Option<TestsView>,
    ) -> Self {
        let may = may(&detail.deployment, visit);
        let governance = governance(&detail.infrastructure);
        let services = services::views(visit, &detail);
        // Tests come and go, and their results say all there is to say of them.
        let is_test =
            |name| detail.running.as_ref().is_some_and(|plan| plan.workload.tests.contains_key(name));
        let said = detail.objects.iter().filter(|object| !is_test(&object.service)).cloned().collect();
        let topics = format!("/events?topics=deployment:{0},updates:{0}", detail.deployment.id);
        let deployment = detail.deployment.into_inner();
        let out_of_sync = deployment.running_update.is_none() || !detail.changes.is_empty();
        Self {
            page: page(visit, &deployment).live(&topics),
            here: visit.here(),
            frame,
            stage: detail.summary.stage.to_string(),
            notes: detail.summary.state.messages.iter().map(Note::from).collect(),
            open: updates.iter().rev().find(|update| !update.is_ended()).map(open),
            digest: detail.wanted.as_ref().ok().map(|plan| plan.digest().to_string()),
            refused: detail.wanted.as_ref().err().map(refused),
            changes: if out_of_sync { detail.changes } else { Vec::new() },
            downtime: detail.downtime,
            services,
            said: objects::by_service(said),
            tests,
            running: detail.running.as_ref().zip(deployment.running_update).map(running),
            updates: updates.iter().map(|update| UpdateRow::new(update, visit.now)).collect(),
            update_count: deployment.last_update,
            secrets: detail.secrets.len(),
            events: detail.events,
            may,
            governance,
            infrastructure: detail.infrastructure,
            deployment,
        }
    }

    /// What kind of engine it runs on.
    fn engine(&self) -> &'static str {
        engine_word(&self.infrastructure)
    }

    /// What the settings override, counted.
    fn overridden(&self) -> String {
        let settings = &self.deployment.settings;
        let variables = settings.environment.len()
            + settings.services.values().map(|service| service.environment.len()).sum::<usize>();
        let parts = [
            (variables > 0).then(|| plural(variables as u64, "variable")),
            (!settings.services.is_empty()).then(|| plural(settings.services.len() as u64, "service")),
            (self.secrets > 0).then(|| plural(self.secrets as u64, "secret")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "as the bundle says".to_owned() } else { parts.join(", ") }
    }
}

fn running((plan, number): (&Plan, u32)) -> (String, u32) {
    (plan.version.to_string(), number)
}

fn refused(error: &Error) -> Note {
    let mut note = Note::from(error);
    note.tone = Tone::Warn;
    note.details = error
        .problems
        .iter()
        .map(|problem| match &problem.hint {
            Some(hint) => format!("{}: {}. {hint}", problem.place, problem.message),
            None => format!("{}: {}", problem.place, problem.message),
        })
        .collect::<Vec<_>>()
        .join(" ");
    note
}

pub(super) fn open(update: &Update) -> (&'static str, u32, State, String) {
    let words = match &update.state {
        UpdateState::Running { step, .. } => format!("{}, {}", step.title(), position(update.kind, *step)),
        _ => "waits for its turn".to_owned(),
    };
    let noun = if update.kind == UpdateKind::Test { "Tests, update" } else { "Update" };
    (noun, update.number, State::from(&update.state), words)
}

pub(super) fn may(deployment: &Authorized<Deployment>, visit: &Visit) -> String {
    let groups: Vec<&str> = visit.caller.subject.groups.iter().map(AsRef::as_ref).collect();
    let right = if deployment.may(DeploymentRight::Deploy) { "view, deploy" } else { "view" };
    if visit.caller.subject.is_admin {
        return "everything (administrator)".to_owned();
    }
    format!("{right} (as {})", groups.join(", "))
}

fn governance(infrastructure: &Infrastructure) -> Option<State> {
    match infrastructure.govern_policy {
        GovernPolicy::NoCheck => None,
        GovernPolicy::Warn => Some(State::warn("warns")),
        GovernPolicy::Prevent => Some(State::warn("prevents")),
    }
}

/// An engine's kind for people.
pub(super) fn engine_word(infrastructure: &Infrastructure) -> &'static str {
    match infrastructure.engine.kind() {
        "docker" => "Docker",
        "kubernetes" => "Kubernetes",
        _ => "in memory",
    }
}

/// The same error with its problems at another field: grammars name the noun, forms name the field.
pub(super) fn renamed(mut error: Error, from: &str, to: &str) -> Error {
    for problem in &mut error.problems {
        if problem.place == from {
            problem.place = to.to_owned();
        }
    }
    error
}
