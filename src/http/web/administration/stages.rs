//! The stages and their order, edited as a whole.

use askama::Template;

use super::page;
use crate::app::stage;
use crate::domain::name::StageId;
use crate::domain::stage::Stage;
use crate::domain::{Error, Kind, Problem, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::fields::Fields;
use crate::http::web::page::{Page, Tab, Tone, Trouble, blame};
use crate::http::web::visit::{Answer, Visit};

/// Rows to add stages in.
const SPARE: usize = 2;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/admin/stages", show);
    routes.post("/admin/stages", save);
}

#[derive(Template)]
#[template(path = "administration/stages.html")]
struct Stages {
    page: Page,
    tabs: Vec<Tab>,
    trouble: Option<Trouble>,
    /// Place, id, description.
    rows: Vec<(usize, String, String)>,
}

fn draw(visit: &Visit, mut pairs: Vec<(String, String)>) -> Result<Stages> {
    let (page, tabs) = page(visit, "Stages")?;
    pairs.extend(std::iter::repeat_n((String::new(), String::new()), SPARE));
    let rows = pairs.into_iter().enumerate().map(|(at, (id, description))| (at + 1, id, description));
    Ok(Stages { page, tabs, trouble: None, rows: rows.collect() })
}

async fn show(visit: Visit) -> Answer {
    let known = stage::list(&visit.app).await?;
    let pairs = known.into_iter().map(|stage| (stage.id.into(), stage.description)).collect();
    let page = draw(&visit, pairs)?;
    visit.show(&page)
}

async fn save(visit: Visit, fields: Fields) -> Answer {
    visit.caller.subject.demand_admin("editing stages")?;
    let pairs = typed(&fields);
    let saved = match parse(&pairs) {
        Ok(stages) => stage::replace(&visit.app, &visit.caller, stages).await,
        Err(error) => Err(error),
    };
    match saved {
        Ok(_) => visit.go("/admin/stages", Tone::Ok, "Saved."),
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::Conflict) => {
            let mut page = draw(&visit, pairs)?;
            page.trouble = Some(blame(&mut [], &error));
            visit.show_as(status(error.kind), &page)
        }
        Err(error) => Err(error.into()),
    }
}

/// The rows in the order of their place, rows without an id left out.
fn typed(fields: &Fields) -> Vec<(String, String)> {
    let places = fields.all("place").map(|place| place.parse::<u32>().unwrap_or(u32::MAX));
    let ids = fields.all("id").map(|id| id.trim().to_owned());
    let descriptions = fields.all("description").map(|text| text.trim().to_owned());
    let mut rows: Vec<(u32, String, String)> = places
        .zip(ids)
        .zip(descriptions)
        .map(|((place, id), description)| (place, id, description))
        .collect();
    rows.sort_by_key(|(place, _, _)| *place);
    rows.into_iter()
        .filter(|(_, id, _)| !id.is_empty())
        .map(|(_, id, description)| (id, description))
        .collect()
}

fn parse(pairs: &[(String, String)]) -> Result<Vec<Stage>> {
    let mut problems: Vec<Problem> = Vec::new();
    let mut stages = Vec::new();
    for (id, description) in pairs {
        let description = if description.is_empty() { id } else { description };
        match StageId::parse(id.clone()) {
            Ok(id) => stages.push(Stage { id, description: description.clone() }),
            Err(error) => problems.extend(error.problems),
        }
    }
    if stages.is_empty() && problems.is_empty() {
        return Err(Error::invalid("no_stages", "there has to be one stage at least"));
    }
    if problems.is_empty() { Ok(stages) } else { Err(Error::problems("invalid_input", problems)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_order_the_rows() {
        let pairs = [
            ("place", "2"),
            ("id", "prod"),
            ("description", ""),
            ("place", "1"),
            ("id", "dev"),
            ("description", "Dev"),
            ("place", "3"),
            ("id", ""),
            ("description", ""),
        ];
        let fields = Fields::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let stages = parse(&typed(&fields)).unwrap();
        let told: Vec<(&str, &str)> =
            stages.iter().map(|stage| (stage.id.as_str(), stage.description.as_str())).collect();
        assert_eq!(told, [("dev", "Dev"), ("prod", "prod")]);
    }
}
