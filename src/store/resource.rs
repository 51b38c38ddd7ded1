//! What belongs to one group ([`crate::domain::resource`]), whatever noun it is; its sealed secrets; and which
//! deployments are made from it.

use std::marker::PhantomData;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use uuid::Uuid;

use crate::domain::Result;
use crate::domain::access::{Subject, Unchecked};
use crate::domain::clock::Timestamp;
use crate::domain::name::{DeploymentId, GroupName};
use crate::domain::resource::{GroupRight, Noun, Resource};
use crate::store::row::{self, Columns as _, millis};

fn read<S: Noun>(row: &Row<'_>) -> rusqlite::Result<Resource<S>> {
    let group: Option<String> = row.get("grp")?;
    Ok(Resource {
        uuid: row.parsed("uuid")?,
        name: row.parsed("name")?,
        group: group.map(|_| row.parsed("grp")).transpose()?,
        spec: row.json("spec")?,
        created_at: row.time("created_at")?,
        created_by: row.get("created_by")?,
        updated_at: row.time("updated_at")?,
        revision: row.get("revision")?,
    })
}

/// By uuid, with the right that `subject` holds on it.
pub fn find<S: Noun>(
    connection: &Connection,
    uuid: Uuid,
    subject: &Subject,
) -> Result<Option<Unchecked<Resource<S>>>> {
    let mut statement = connection.prepare_cached("SELECT * FROM resource WHERE uuid = ?1 AND noun = ?2")?;
    let found = statement.query_row((uuid.to_string(), S::NOUN), read::<S>).optional()?;
    Ok(found.map(|found| {
        let member = found.group.as_ref().is_some_and(|group| subject.groups.contains(group));
        Unchecked::new(found, member.then_some(GroupRight::Member))
    }))
}

/// Which resources are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter<S> {
    /// Part of the name or of the uuid.
    pub text: Option<String>,
    pub noun: PhantomData<S>,
}

impl<S> Filter<S> {
    /// Those whose name or uuid holds `text`.
    pub fn new(text: Option<String>) -> Self {
        Self { text, noun: PhantomData }
    }
}

/// Resources that `subject` may see, oldest first, after the one of uuid `after`.
pub fn list<S: Noun>(
    connection: &Connection,
    subject: &Subject,
    filter: &Filter<S>,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Resource<S>>> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM resource
          WHERE noun = :noun AND uuid > :after AND (:admin OR grp IN (SELECT value FROM json_each(:groups)))
            AND (:text IS NULL OR instr(lower(name), :text) OR instr(uuid, :text))
          ORDER BY uuid LIMIT :limit",
    )?;
    let parameters = named_params! {
        ":noun": S::NOUN, ":after": after.unwrap_or(""), ":admin": subject.is_admin,
        ":groups": row::groups(&subject.groups), ":text": filter.text.as_ref().map(|text| text.to_lowercase()),
        ":limit": limit.saturating_add(row::SPARE),
    };
    let rows = statement.query_map(parameters, read::<S>)?;
    Ok(row::readable(S::NOUN, rows, limit)?)
}

/// Adds one.
pub fn insert<S: Noun>(connection: &Connection, resource: &Resource<S>) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO resource (uuid, noun, name, grp, spec, created_at, created_by, updated_at, revision)
             VALUES (:uuid, :noun, :name, :grp, :spec, :created_at, :created_by, :updated_at, :revision)",
        )?
        .execute(named_params! {
            ":uuid": resource.uuid.to_string(), ":noun": S::NOUN, ":name": resource.name.as_str(),
            ":grp": resource.group.as_ref().map(GroupName::as_str), ":spec": row::json(&resource.spec),
            ":created_at": millis(resource.created_at), ":created_by": resource.created_by,
            ":updated_at": millis(resource.updated_at), ":revision": resource.revision,
        })?;
    Ok(())
}

/// Saves name, group and spec.
pub fn update<S: Noun>(connection: &Connection, resource: &Resource<S>) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE resource SET name = :name, grp = :grp, spec = :spec, updated_at = :updated_at, revision = :revision
              WHERE uuid = :uuid AND noun = :noun",
        )?
        .execute(named_params! {
            ":uuid": resource.uuid.to_string(), ":noun": S::NOUN, ":name": resource.name.as_str(),
            ":grp": resource.group.as_ref().map(GroupName::as_str), ":spec": row::json(&resource.spec),
            ":updated_at": millis(resource.updated_at), ":revision": resource.revision,
        })?;
    Ok(())
}

/// Removes one with its secrets; the caller made sure that nothing is made from it.
pub fn delete(connection: &Connection, uuid: Uuid) -> Result<()> {
    connection.prepare_cached("DELETE FROM resource WHERE uuid = ?1")?.execute([uuid.to_string()])?;
    Ok(())
}

/// Notes what a deployment is made from, in place of what was noted before.
pub fn link(connection: &Connection, deployment: &DeploymentId, resources: &[Uuid]) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM deployment_resource WHERE deployment = ?1")?
        .execute([deployment.as_str()])?;
    let mut statement = connection
        .prepare_cached("INSERT OR IGNORE INTO deployment_resource (deployment, resource) VALUES (?1, ?2)")?;
    for resource in resources {
        statement.execute((deployment.as_str(), resource.to_string()))?;
    }
    Ok(())
}

/// The deployments that are made from a resource.
pub fn users(connection: &Connection, uuid: Uuid) -> Result<Vec<DeploymentId>> {
    let mut statement = connection.prepare_cached(
        "SELECT deployment FROM deployment_resource WHERE resource = ?1 ORDER BY deployment",
    )?;
    let rows = statement.query_map([uuid.to_string()], |row| row.parsed("deployment"))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many deployments are made from each of these resources.
pub fn count_users(connection: &Connection, uuids: &[Uuid]) -> Result<Vec<(Uuid, u32)>> {
    let mut statement = connection.prepare_cached(
        "SELECT resource, count(*) AS users FROM deployment_resource
          WHERE resource IN (SELECT value FROM json_each(?1)) GROUP BY resource",
    )?;
    let rows =
        statement.query_map([row::json(&uuids)], |row| Ok((row.parsed("resource")?, row.get("users")?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The pipelines that name a stream.
pub fn pipelines_of(connection: &Connection, stream: Uuid) -> Result<Vec<Uuid>> {
    let mut statement = connection.prepare_cached(
        "SELECT uuid FROM resource
          WHERE noun = 'pipeline' AND ?1 IN (json_extract(spec, '$.\"stream-in\"'), json_extract(spec, '$.\"stream-out\"'))
          ORDER BY uuid",
    )?;
    let rows = statement.query_map([stream.to_string()], |row| row.parsed("uuid"))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A sealed value with its name and version.
pub type Sealed = (String, u32, Vec<u8>);

/// Every sealed value of a resource.
pub fn sealed(connection: &Connection, uuid: Uuid) -> Result<Vec<Sealed>> {
    let mut statement =
        connection.prepare_cached("SELECT name, version, sealed FROM resource_secret WHERE resource = ?1")?;
    let rows = statement.query_map([uuid.to_string()], |row| {
        Ok((row.get("name")?, row.get("version")?, row.get("sealed")?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Sets a value, sealed for exactly this resource, name and version.
pub fn put_secret(
    connection: &Connection,
    uuid: Uuid,
    secret: (&str, u32, &[u8]),
    now: Timestamp,
) -> Result<()> {
    let (name, version, sealed) = secret;
    connection
        .prepare_cached(
            "INSERT INTO resource_secret (resource, name, version, sealed, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (resource, name) DO UPDATE SET version = ?3, sealed = ?4, updated_at = ?5",
        )?
        .execute((uuid.to_string(), name, version, sealed, millis(now)))?;
    Ok(())
}

/// Removes every value but those of these names.
pub fn keep_secrets(connection: &Connection, uuid: Uuid, names: &[&str]) -> Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM resource_secret WHERE resource = ?1 AND name NOT IN (SELECT value FROM json_each(?2))",
        )?
        .execute((uuid.to_string(), row::json(&names)))?;
    Ok(())
}

/// Every sealed value there is, with its resource.
pub fn all_sealed(connection: &Connection) -> Result<Vec<(Uuid, Sealed)>> {
    let mut statement =
        connection.prepare_cached("SELECT resource, name, version, sealed FROM resource_secret")?;
    let rows = statement.query_map([], |row| {
        Ok((row.parsed("resource")?, (row.get("name")?, row.get("version")?, row.get("sealed")?)))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Exchanges the seal of a value that stays what it is.
pub fn reseal(connection: &Connection, uuid: Uuid, name: &str, sealed: &[u8]) -> Result<()> {
    connection
        .prepare_cached("UPDATE resource_secret SET sealed = ?3 WHERE resource = ?1 AND name = ?2")?
        .execute((uuid.to_string(), name, sealed))?;
    Ok(())
}
