//! `image` and `build`: what a service's containers are made from.

use std::collections::BTreeMap;

use crate::compose::Context;
use crate::compose::field::{Field, Table};
use crate::compose::paths::Wanted;
use crate::compose::unsupported::BUILD;
use crate::domain::notation;
use crate::domain::workload::{Build, Image};

/// The image of the service `table`.
pub fn read(service: &Table<'_>, cx: &mut Context<'_>) -> Option<Image> {
    match (service.get("image"), service.get("build")) {
        (Some(field), None) => reference(&field, cx).map(Image::Reference),
        (None, Some(field)) => build(&field, cx).map(Image::Build),
        (None, None) => {
            let hint = "Add `image: name:tag`, or `build: ./folder` with a Dockerfile in the bundle.";
            service.refuse(&mut cx.report, "there is neither image nor build", hint);
            None
        }
        (Some(image), Some(_)) => {
            let hint = "Keep `build`, and Slipway names what it builds; or keep `image`, for what was built elsewhere.";
            image.refuse(&mut cx.report, "there are both image and build", hint);
            None
        }
    }
}

fn reference(field: &Field<'_>, cx: &mut Context<'_>) -> Option<String> {
    let text = field.filled(&mut cx.report)?;
    match notation::image_fault(text) {
        None => Some(text.to_owned()),
        Some(what) => {
            let hint = "Write `name:tag`, `host/name:tag` or `name@sha256:…`, the name in lower case.";
            field.refuse(&mut cx.report, format!("{text:?} is no image: {what}"), hint);
            None
        }
    }
}

fn build(field: &Field<'_>, cx: &mut Context<'_>) -> Option<Build> {
    if !field.is_map() {
        let text = field.filled(&mut cx.report)?;
        let context = context(text, field, cx)?;
        let dockerfile = dockerfile("Dockerfile", &context, field, cx)?;
        return Some(Build { context, dockerfile, target: None, args: BTreeMap::new() });
    }
    let table = field.table(&BUILD, &mut cx.report)?;
    let args = table.get("args").map(|field| args(&field, cx)).unwrap_or_default();
    let target = match table.get("target") {
        Some(field) => Some(field.filled(&mut cx.report)?.to_owned()),
        None => None,
    };
    let context = match table.get("context") {
        Some(field) => context(field.filled(&mut cx.report)?, &field, cx)?,
        None => String::new(),
    };
    let dockerfile = match table.get("dockerfile") {
        Some(field) => dockerfile(field.filled(&mut cx.report)?, &context, &field, cx)?,
        None => dockerfile("Dockerfile", &context, field, cx)?,
    };
    Some(Build { context, dockerfile, target, args })
}

fn context(text: &str, field: &Field<'_>, cx: &mut Context<'_>) -> Option<String> {
    cx.files.resolve(text, "", Wanted::Folder, field, &mut cx.report)
}

/// The Dockerfile's path inside the context.
fn dockerfile(text: &str, context: &str, field: &Field<'_>, cx: &mut Context<'_>) -> Option<String> {
    let path = cx.files.resolve(text, context, Wanted::File, field, &mut cx.report)?;
    let inside = match context {
        "" => Some(path.as_str()),
        _ => path.strip_prefix(context).and_then(|rest| rest.strip_prefix('/')),
    };
    if inside.is_none() {
        field.refuse(
            &mut cx.report,
            format!("{text:?} lies outside the build's context"),
            "Move it into the context.",
        );
    }
    inside.map(str::to_owned)
}

fn args(field: &Field<'_>, cx: &mut Context<'_>) -> BTreeMap<String, String> {
    let mut args = BTreeMap::new();
    for pair in field.pairs(&mut cx.report).unwrap_or_default() {
        let value = match (&pair.value, cx.variables.get(&pair.name)) {
            (None, Some(value)) => Some(value.clone()),
            (None, None) => {
                let hint = format!(
                    "Write its value, or put {}=… into the bundle's .env: an image is built once for all \
                                    deployments, so settings can't give it.",
                    pair.name
                );
                cx.report.at(pair.at, format!("{}: the build argument has no value", pair.path), hint);
                None
            }
            (Some(_), _) => pair.text(&mut cx.report),
        };
        args.extend(value.map(|value| (pair.name, value)));
    }
    args
}
