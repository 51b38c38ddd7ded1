//! What a deployment's pipeline and streams make of it: derived when it is saved, and again when one of them is.

use std::collections::BTreeMap;

use rusqlite::Connection;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::{known_stream, placed};
use crate::app::deployment::{self, Changes, made};
use crate::app::{App, load, resource};
use crate::bus::Topic;
use crate::domain::access::{Caller, Subject};
use crate::domain::deployment::{Deployment, DeploymentRight, Source};
use crate::domain::name::{GroupName, SecretName};
use crate::domain::pipeline::definition::{self, Definition, OWN, Parts, Secrets};
use crate::domain::pipeline::{PipelineSpec, PipelineUse, StreamUse};
use crate::domain::secret::SecretChange;
use crate::domain::stream::{self, Options, Stream};
use crate::domain::{Error, Kind, Result};
use crate::store::{self, Tx};

/// What a definition is made for.
pub(super) struct For<'a> {
    pub uuid: Uuid,
    pub revision: u32,
    pub of: &'a PipelineUse,
    /// The deployment's own secret options, as [`Parts::own`].
    pub own: &'a [Secrets; 3],
}

/// A definition, the group that its pipeline belongs to, and what it was made from.
pub(super) struct Derived {
    pub definition: Definition,
    pub group: Option<GroupName>,
    pub uses: Vec<Uuid>,
}

/// Derives for `who`, who must see the pipeline and both streams.
pub(super) fn derive(app: &App, db: &Connection, who: &Subject, of: &For<'_>) -> Result<Derived> {
    let pipeline = load::resource::<PipelineSpec>(db, of.of.pipeline, who)
        .map_err(|error| placed(error, "spec.pipeline"))?
        .into_inner();
    let stream_in = stream(db, who, &of.of.stream_in_config, pipeline.spec.stream_in, "stream-in")?;
    let stream_out = stream(db, who, &of.of.stream_out_config, pipeline.spec.stream_out, "stream-out")?;
    let secrets = |uuid| resource::secrets(app, db, uuid);
    let definition = definition::derive(&Parts {
        uuid: of.uuid,
        revision: of.revision,
        of: of.of,
        pipeline: (&pipeline, &secrets(pipeline.uuid)?),
        stream_in: (&stream_in, &secrets(stream_in.uuid)?),
        stream_out: (&stream_out, &secrets(stream_out.uuid)?),
        own: [&of.own[0], &of.own[1], &of.own[2]],
        defaults: &app.rules.datacater.defaults,
    })?;
    Ok(Derived {
        definition,
        group: pipeline.group,
        uses: vec![pipeline.uuid, stream_in.uuid, stream_out.uuid],
    })
}

fn stream(db: &Connection, who: &Subject, of: &StreamUse, own: Option<Uuid>, which: &str) -> Result<Stream> {
    match (of.uuid, own) {
        (Some(uuid), _) => known_stream(db, who, uuid, &format!("spec.{which}-config.uuid")),
        (None, Some(uuid)) => known_stream(db, who, uuid, &format!("spec.pipeline.{which}")),
        (None, None) => {
            Err(Error::field(format!("spec.{which}-config"), format!("the pipeline names no {which}"))
                .hint(format!("Name one: \"{which}-config\": {{\"uuid\": …}}, or name it in the pipeline.")))
        }
    }
}

/// Takes the secret values out of a deployment's own options.
pub(super) fn take_own(of: &mut PipelineUse) -> [Secrets; 3] {
    let take = |options: &mut Options| -> Secrets {
        stream::take_secrets(options)
            .into_iter()
            .map(|(key, value)| (key, SecretString::from(value)))
            .collect()
    };
    [take(&mut of.stream_in_config.options), take(&mut of.stream_out_config.options), take(&mut of.config)]
}

/// The deployment's own secret options that stand masked, from the secrets that it has: only those that stood masked in
/// the same place `before`, for the same variable holds a stream's secret where the deployment has none of its own.
pub(super) fn add_held(
    of: &PipelineUse,
    before: &PipelineUse,
    own: &mut [Secrets; 3],
    held: &BTreeMap<SecretName, SecretString>,
) {
    let places = |of: &PipelineUse| {
        [&of.stream_in_config.options, &of.stream_out_config.options, &of.config]
            .map(|options| stream::masked(options, ""))
    };
    for (((masked, before), prefix), own) in places(of).into_iter().zip(places(before)).zip(OWN).zip(own) {
        for key in masked.into_keys().filter(|key| before.contains_key(key)) {
            let value = held.get(definition::variable(prefix, &key).as_str());
            if let Some(value) = value.filter(|_| !own.contains_key(&key)) {
                own.insert(key, value.clone());
            }
        }
    }
}

/// What of the secrets has to change so that the deployment has those of the definition.
pub(super) fn secret_changes(
    held: &BTreeMap<SecretName, SecretString>,
    wanted: &BTreeMap<SecretName, SecretString>,
) -> BTreeMap<SecretName, SecretChange> {
    let same = |name: &SecretName, value: &SecretString| {
        held.get(name).is_some_and(|held| held.expose_secret() == value.expose_secret())
    };
    let set = wanted.iter().filter(|(name, value)| !same(name, value));
    let set = set.map(|(name, value)| (name.clone(), SecretChange::Set(value.clone())));
    let gone = held.keys().filter(|name| definition::is_own(name.as_str()) && !wanted.contains_key(*name));
    set.chain(gone.map(|name| (name.clone(), SecretChange::Remove))).collect()
}

/// Makes the definitions of all deployments anew that are made from a resource which was just saved. What runs stays as
/// it is: they are out of sync until somebody updates them. One that can't be made anew says so itself, to those who may
/// see it, and keeps nobody from saving. `who` has to see what they are made of: a stream's own group hands its secrets
/// on, but nobody gets at them by changing what reads them.
pub(in crate::app) fn remake(
    app: &App,
    tx: &Tx<'_>,
    (caller, who): (&Caller, &Subject),
    saved: Uuid,
    why: &str,
) -> Result<()> {
    for id in resource::users(tx, saved)? {
        let before = load::deployment(tx, &id, &Subject::system(), DeploymentRight::View)?.into_inner();
        if before.removal.is_some() || before.source.pipeline().is_none() {
            continue;
        }
        match tx.nested(|| one_more(app, tx, (caller, who), before, why)) {
            Err(error) if error.kind == Kind::Internal => return Err(error),
            Err(error) => {
                let words = format!("{why}, and this deployment can't take that: {error}");
                store::deployment::set_wanted(tx, &id, Err(&words))?;
                tx.publish(Topic::Deployment(id));
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

fn one_more(
    app: &App,
    tx: &Tx<'_>,
    (caller, who): (&Caller, &Subject),
    before: Deployment,
    why: &str,
) -> Result<()> {
    let Some(of) = before.source.pipeline().cloned() else { return Ok(()) };
    let held = deployment::opened_secrets(app, tx, &before.id)?;
    let mut own = <[Secrets; 3]>::default();
    add_held(&of, &of, &mut own, &held);
    // Also where nothing changes: what could not be taken before may be what it was again.
    let changes = remade(app, tx, who, &before, of, &own, &held)?.unwrap_or_default();
    let changes = Changes { reason: Some(why.to_owned()), ignore_warnings: true, ..changes };
    if changes.is_empty() && !deployment::is_refused(tx, &before.id)? {
        return Ok(());
    }
    deployment::apply(app, tx, caller, before, &changes)?;
    Ok(())
}

/// What of a deployment's secrets has to change so that it can go back to a definition made of `of`: those of its streams
/// and options are as they are now. What it is made from is noted anew.
///
/// # Errors
/// `not_rollable` where the caller may not see what it was made of, or an option has no value any more.
pub(in crate::app) fn restored(
    app: &App,
    tx: &Tx<'_>,
    who: &Subject,
    held: &Deployment,
    of: &PipelineUse,
) -> Result<BTreeMap<SecretName, SecretChange>> {
    let now = held.source.pipeline().unwrap_or(of);
    let secrets = deployment::opened_secrets(app, tx, &held.id)?;
    let mut own = <[Secrets; 3]>::default();
    add_held(of, now, &mut own, &secrets);
    let revision = made::current(tx, held)?.number;
    let derived = derive(app, tx, who, &For { uuid: held.uuid, revision, of, own: &own });
    let derived = derived.map_err(|error| match error.kind {
        Kind::Invalid => Error {
            kind: Kind::Conflict,
            code: "not_rollable",
            ..error.hint("What it was made of is not what it was: change the deployment instead.")
        },
        _ => error,
    })?;
    made::regroup(tx, &held.project, derived.group.as_ref())?;
    made::link(tx, &held.id, &derived.uses)?;
    Ok(secret_changes(&secrets, &derived.definition.secrets))
}

/// What has to be saved of a deployment so that it is `of`; `None`: nothing.
pub(super) fn remade(
    app: &App,
    tx: &Tx<'_>,
    who: &Subject,
    before: &Deployment,
    mut of: PipelineUse,
    own: &[Secrets; 3],
    held: &BTreeMap<SecretName, SecretString>,
) -> Result<Option<Changes>> {
    let current = made::current(tx, before)?;
    let asked = |revision| For { uuid: before.uuid, revision, of: &of, own };
    let derived = derive(app, tx, who, &asked(current.number))?;
    let secrets = secret_changes(held, &derived.definition.secrets);
    let mut changes = Changes { secrets, ..Changes::default() };
    of.pipeline_name = load::resource::<PipelineSpec>(tx, of.pipeline, &Subject::system())?.name.clone();
    let source = Source::Pipeline(of.clone());
    changes.source = (source != before.source).then(|| source.clone());
    if derived.definition.workload != current.workload {
        let number = made::next(tx, before)?;
        let derived = derive(app, tx, who, &For { uuid: before.uuid, revision: number, of: &of, own })?;
        changes.version =
            Some(made::freeze(app, tx, &before.project, number, derived.definition.workload, &source)?);
    }
    made::regroup(tx, &before.project, derived.group.as_ref())?;
    made::link(tx, &before.id, &derived.uses)?;
    Ok((!changes.is_empty()).then_some(changes))
}
