//! A deployment's secrets, write-only: set, replaced, removed; never shown.

use std::collections::BTreeMap;

use actix_web::web;
use secrecy::SecretString;

use crate::app::deployment::{self, Changes};
use crate::domain::name::SecretName;
use crate::domain::secret::SecretChange;
use crate::domain::text::capital;
use crate::domain::{Error, Kind, Result};
use crate::http::routes::Routes;
use crate::http::web::deployment::id_of;
use crate::http::web::fields::Fields;
use crate::http::web::page::Tone;
use crate::http::web::visit::{Answer, Visit};

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.post("/deployments/{id}/secrets", change);
}

async fn change(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let id = id_of(&path)?;
    let to = format!("/deployments/{id}/settings");
    let (name, change, text) = match parse(&fields) {
        Ok(parsed) => parsed,
        Err(error) => return visit.go(&to, Tone::Bad, &capital(&error.to_string())),
    };
    let changes = Changes { secrets: BTreeMap::from([(name, change)]), ..Changes::default() };
    match deployment::save(&visit.app, &visit.caller, id, changes).await {
        Ok(_) => visit.go(&to, Tone::Ok, &text),
        Err(error) if error.kind == Kind::Invalid => visit.go(&to, Tone::Bad, &capital(&error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn parse(fields: &Fields) -> Result<(SecretName, SecretChange, String)> {
    let name = SecretName::parse(fields.get("name"))?;
    if fields.get("do") == "remove" {
        let text = format!("{name} is removed. What runs keeps it until the next update.");
        return Ok((name, SecretChange::Remove, text));
    }
    let value = fields.raw("value");
    if value.is_empty() {
        return Err(Error::field("value", "the secret has no value").hint("Type one, or remove the secret."));
    }
    let text = format!("{name} is set. What runs gets it with the next update.");
    Ok((name, SecretChange::Set(SecretString::from(value.to_owned())), text))
}
