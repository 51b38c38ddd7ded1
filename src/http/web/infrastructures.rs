//! The list of infrastructures, and making one.

use askama::Template;

use super::deployment::{engine_word, renamed};
use super::fields::Fields;
use super::infrastructure::cluster::{ClusterForm, at_fields, cluster_of};
use super::page::{Choice, Field, Page, Section, State, Tone, Trouble, blame, memory};
use super::visit::{Answer, Visit};
use crate::app::infrastructure::{self, Listed, NewInfrastructure};
use crate::app::stage;
use crate::domain::access::InfrastructureRight;
use crate::domain::infrastructure::{EngineConnection, GovernPolicy, Infrastructure};
use crate::domain::name::{InfrastructureId, StageId};
use crate::domain::policy::Policy;
use crate::domain::{Error, Kind, Result};
use crate::engine::EngineReport;
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::store::observation::EngineState;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/infrastructures", list);
    routes.get("/infrastructures/new", ask);
    routes.post("/infrastructures/new", create);
}

/// What forms offer: every infrastructure that the visitor may see, chosen only where they may deploy.
pub(super) async fn choices(visit: &Visit) -> Result<Vec<Choice>> {
    Ok(infrastructure::list(&visit.app, &visit.caller).await?.iter().map(choice).collect())
}

/// One of them.
pub(super) fn choice(listed: &Listed) -> Choice {
    let Infrastructure { id, stage, .. } = &listed.infrastructure;
    let choice = Choice::new(id.as_str(), format!("{id} · {stage}"));
    if listed.right >= InfrastructureRight::Deploy { choice } else { choice.refused("takes deploy on it") }
}

#[derive(Template)]
#[template(path = "infrastructures.html", blocks = ["live"])]
struct List {
    page: Page,
    rows: Vec<Row>,
    is_admin: bool,
}

struct Row {
    of: Listed,
    engine: &'static str,
    state: State,
    said: String,
    capacity: String,
}

async fn list(visit: Visit) -> Answer {
    let found = infrastructure::list(&visit.app, &visit.caller).await?;
    let rows = found.into_iter().map(|of| {
        let (state, said) = reached(of.engine.as_ref());
        Row {
            engine: engine_word(&of.infrastructure),
            state,
            said,
            capacity: capacity(of.engine.as_ref()),
            of,
        }
    });
    let page = List {
        page: visit.page("Infrastructures", Section::Infrastructures).live("/events?topics=infrastructures"),
        rows: rows.collect(),
        is_admin: visit.caller.subject.is_admin,
    };
    if visit.wants("live") {
        return visit.show_part(&page.as_live());
    }
    visit.show(&page)
}

/// Whether an engine answers, and what it said last.
pub(super) fn reached(engine: Option<&EngineState>) -> (State, String) {
    match engine {
        None => (State::unknown("Not asked yet"), String::new()),
        Some(engine) if engine.reachable => (State::ok("Reachable"), String::new()),
        Some(engine) => (State::error("Not reachable"), engine.message.clone()),
    }
}

fn report(engine: Option<&EngineState>) -> Option<EngineReport> {
    serde_json::from_value(engine?.report.clone()?).ok()
}

fn capacity(engine: Option<&EngineState>) -> String {
    report(engine)
        .map(|report| match report.cpus {
            0 => report.version,
            cpus => format!("{}, {cpus} CPUs, {}", report.version, memory(report.memory_bytes)),
        })
        .unwrap_or_default()
}

#[derive(Template)]
#[template(path = "infrastructure/new.html")]
struct New {
    page: Page,
    trouble: Option<Trouble>,
    id: Field,
    stage: Field,
    kind: Field,
    host: Field,
    publish: Field,
    pool: Field,
    govern: Field,
    cluster: ClusterForm,
}

/// The choices of governance.
pub(super) fn govern_choices() -> Vec<Choice> {
    vec![
        Choice::new("NO_CHECK", "does not check"),
        Choice::new("WARN", "warns of what is not approved"),
        Choice::new("PREVENT", "prevents what is not approved"),
    ]
}

/// From the word of a choice.
pub(super) fn govern_of(word: &str) -> Result<GovernPolicy> {
    match word {
        "NO_CHECK" | "" => Ok(GovernPolicy::NoCheck),
        "WARN" => Ok(GovernPolicy::Warn),
        "PREVENT" => Ok(GovernPolicy::Prevent),
        other => Err(Error::field("govern", format!("{other:?} is no policy"))),
    }
}

/// The word of a choice.
pub(super) fn govern_word(policy: GovernPolicy) -> &'static str {
    match policy {
        GovernPolicy::NoCheck => "NO_CHECK",
        GovernPolicy::Warn => "WARN",
        GovernPolicy::Prevent => "PREVENT",
    }
}

async fn new_page(visit: &Visit, fields: &Fields) -> Result<New> {
    let stages = stage::list(&visit.app).await?;
    let stages =
        stages.iter().map(|stage| Choice::new(stage.id.as_str(), stage.description.clone())).collect();
    let (host, publish, pool) = match EngineConnection::local_docker() {
        EngineConnection::Docker { host, publish_address, network_pool } => {
            (host, publish_address.to_string(), network_pool)
        }
        EngineConnection::Kubernetes(_) | EngineConnection::Fake {} => Default::default(),
    };
    let kinds = vec![
        Choice::new("docker", "Docker on a socket of this host"),
        Choice::new("kubernetes", "Kubernetes, a namespace of a cluster"),
        Choice::new("fake", "In memory, for trying things: nothing really runs"),
    ];
    let mut cluster = ClusterForm::load(&visit.app, &visit.caller, None).await?;
    cluster.typed(fields);
    let given = |name: &str, default: String| fields.optional(name).map_or(default, ToOwned::to_owned);
    Ok(New {
        page: visit
            .page("New infrastructure", Section::Infrastructures)
            .below("Infrastructures", "/infrastructures"),
        trouble: None,
        id: Field::text("id", "Id")
            .hint("Names it everywhere and stays.")
            .value(fields.get("id"))
            .required()
            .mono(),
        stage: Field::select("stage", "Stage", stages).value(given("stage", "dev".into())).required(),
        kind: Field::radio("kind", "Engine", kinds).value(given("kind", "docker".into())).required(),
        host: Field::text("host", "Socket").value(given("host", host)).mono(),
        publish: Field::text("publish", "Address that published ports bind to")
            .value(given("publish", publish))
            .mono(),
        pool: Field::text("pool", "Network pool")
            .hint("Each deployment gets a /26 of it.")
            .value(given("pool", pool))
            .mono(),
        govern: Field::select("govern", "Governance", govern_choices())
            .value(given("govern", "NO_CHECK".into()))
            .required(),
        cluster,
    })
}

async fn ask(visit: Visit) -> Answer {
    visit.caller.subject.demand_admin("making an infrastructure")?;
    let page = new_page(&visit, &Fields::default()).await?;
    visit.show(&page)
}

async fn create(visit: Visit, fields: Fields) -> Answer {
    visit.caller.subject.demand_admin("making an infrastructure")?;
    let made = match parse(&fields) {
        Ok(new) => infrastructure::create(&visit.app, &visit.caller, new, None).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => visit.go(
            &format!("/infrastructures/{}", made.id),
            Tone::Ok,
            "Made. Give groups their rights on it.",
        ),
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::Conflict) => {
            let mut page = new_page(&visit, &fields).await?;
            let error = at_fields(renamed(error, "infrastructure", "id"));
            let mut all = vec![
                &mut page.id,
                &mut page.stage,
                &mut page.kind,
                &mut page.host,
                &mut page.publish,
                &mut page.pool,
                &mut page.govern,
            ];
            all.extend(page.cluster.all());
            page.trouble = Some(blame(&mut all, &error));
            visit.show_as(status(error.kind), &page)
        }
        Err(error) => Err(error.into()),
    }
}

/// An engine's connection from a form.
pub(super) fn connection_of(fields: &Fields) -> Result<EngineConnection> {
    match fields.get("kind") {
        "docker" => {
            let publish = fields.get("publish");
            Ok(EngineConnection::Docker {
                host: fields.get("host").to_owned(),
                publish_address: publish
                    .parse()
                    .map_err(|_| Error::field("publish", format!("{publish:?} is no IP address")))?,
                network_pool: fields.get("pool").to_owned(),
            })
        }
        "fake" => Ok(EngineConnection::Fake {}),
        other => Err(Error::field("kind", format!("{other:?} is no engine"))),
    }
}

fn parse(fields: &Fields) -> Result<NewInfrastructure> {
    let (engine, kubeconfig) = match fields.get("kind") {
        "kubernetes" => cluster_of(fields, None)?,
        _ => (connection_of(fields)?, None),
    };
    Ok(NewInfrastructure {
        id: InfrastructureId::parse(fields.get("id"))?,
        stage: StageId::parse(fields.get("stage"))?,
        engine: Some(engine),
        kubeconfig,
        govern_policy: govern_of(fields.get("govern"))?,
        policy: Policy::default(),
    })
}
