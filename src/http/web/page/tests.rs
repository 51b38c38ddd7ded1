mod policy;

use askama::Template;
use chrono::TimeDelta;
use scraper::{Html, Selector};

use super::*;
use crate::domain::update::{Outcome, Step, StepRecord, StepState, UpdateKind, UpdateState};
use crate::domain::{Error, Problem};

fn now() -> Timestamp {
    "2026-11-21T16:45:30Z".parse().expect("a moment")
}

fn page(title: &str, section: Section) -> Page {
    Page::new(title, section, "/slipway", "/slipway/static/abc", now())
}

fn signed_in(title: &str) -> Page {
    let user = UserView { name: "Bob <b>".into(), groups: vec!["ml".into()], is_admin: true };
    Page { user: Some(user), csrf: "token".into(), ..page(title, Section::Deployments) }
}

#[derive(Template)]
#[template(
    source = r#"{% extends "base.html" %}{% import "parts/form.html" as form %}{% import "parts/run.html" as run %}
{% block main %}{{ form::trouble(trouble) }}{{ form::field(field) }}{{ form::confirm(confirm) }}{{ run::lines(lines) }}{% endblock %}"#,
    ext = "html"
)]
struct Everything {
    page: Page,
    trouble: Option<Trouble>,
    field: Field,
    confirm: Confirm,
    lines: Vec<DiffLine>,
}

fn everything(page: Page) -> Html {
    let hostile = "\"><script>alert(1)</script>";
    let mut field = Field::text("id", "Id").value(hostile).hint("Letters.");
    let trouble = blame(&mut [&mut field], &Error::field("id", hostile));
    let confirm = Confirm {
        action: "/x".into(),
        verb: "Delete".into(),
        name: hostile.into(),
        consequences: vec![hostile.into()],
        also: None,
        back: "/".into(),
        typed: Some(hostile.into()),
    };
    let lines = DiffLine::between(hostile, "other");
    let made = Everything { page, trouble: Some(trouble), field, confirm, lines };
    Html::parse_document(&made.render().expect("renders"))
}

fn all<'a>(html: &'a Html, selector: &str) -> Vec<scraper::ElementRef<'a>> {
    let selector = Selector::parse(selector).expect("a selector");
    html.select(&selector).collect()
}

#[test]
fn hostile_text_stays_text() {
    let html =
        everything(Page { flash: Some(Flash { tone: Tone::Bad, text: "<i>x".into() }), ..signed_in("<s>t") });
    assert!(all(&html, "script").iter().all(|script| script.value().attr("src").is_some()));
    assert!(all(&html, "main script, main i, h1 s, summary b").is_empty());
    assert_eq!(all(&html, "title")[0].text().collect::<String>(), "<s>t · deployments · Slipway");
    assert_eq!(all(&html, "#f-id")[0].value().attr("value"), Some("\"><script>alert(1)</script>"));
}

#[test]
fn a_wrong_field_is_named_beside_it_and_at_the_top() {
    let html = everything(signed_in("t"));
    let input = all(&html, "#f-id")[0].value();
    assert_eq!(input.attr("aria-invalid"), Some("true"));
    assert_eq!(input.attr("aria-describedby"), Some("f-id-hint f-id-error"));
    assert_eq!(all(&html, "#f-id-hint, #f-id-error").len(), 2);
    assert_eq!(all(&html, ".trouble a[href='#f-id']").len(), 1);
}

#[test]
fn the_frame_holds_what_the_user_may_reach_and_every_form_its_token() {
    let html = everything(signed_in("t"));
    let current: Vec<_> =
        all(&html, ".side a[aria-current]").iter().map(|a| a.value().attr("href")).collect();
    assert_eq!(current, [Some("/slipway/deployments")]);
    assert_eq!(all(&html, ".side a").len(), 7);
    for form in all(&html, "form[method=post]") {
        let token = form.select(&Selector::parse("input[name=csrf]").expect("a selector")).next();
        assert_eq!(token.and_then(|input| input.value().attr("value")), Some("token"));
    }
    let plain =
        Page { user: Some(UserView { name: "C".into(), groups: vec![], is_admin: false }), ..signed_in("t") };
    assert_eq!(all(&everything(plain), ".side a").len(), 6);
    assert!(all(&everything(page("Log in", Section::Outside)), "nav, header.top, dialog").is_empty());
}

#[test]
fn titles_say_where_one_is() {
    assert_eq!(
        page("churn on prod", Section::Deployments).head_title(),
        "churn on prod · deployments · Slipway"
    );
    assert_eq!(page("Projects", Section::Projects).head_title(), "Projects · Slipway");
    assert_eq!(page("Log in", Section::Outside).head_title(), "Log in · Slipway");
}

#[test]
fn times_and_sizes_have_their_units() {
    let ages = [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (7_199, "1 h"),
        (86_400, "1 d"),
        (70_000_000, "2 y"),
        (-90, "in 1 min"),
    ];
    for (seconds, words) in ages {
        assert_eq!(age(now() - TimeDelta::seconds(seconds), now()), words);
    }
    for (milliseconds, words) in [
        (0, "0.0 s"),
        (22_449, "22.4 s"),
        (59_960, "1 min 00 s"),
        (192_000, "3 min 12 s"),
        (3_840_000, "1 h 04 min"),
    ] {
        assert_eq!(took(TimeDelta::milliseconds(milliseconds)), words);
    }
    for (bytes, words) in [
        (0, "0 B"),
        (999, "999 B"),
        (1_449, "1.4 kB"),
        (999_600, "1 MB"),
        (18_200_000, "18 MB"),
        (u64::MAX, "18 EB"),
    ] {
        assert_eq!(size(bytes), words);
    }
    assert_eq!(memory(214 << 20), "214 MiB");
    assert_eq!(memory(1_640 << 20), "1.6 GiB");
    assert_eq!(exact(now(), 0), "2026-11-21 16:45:30 UTC");
    assert_eq!(exact(now(), 90), "2026-11-21 18:15:30 +01:30");
    assert_eq!((percent(1, 3), percent(1, 0)), (33, 0));
}

#[test]
fn sorting_keeps_the_filters_and_starts_at_the_first_page() {
    let query = Query::parse("/d", "stage=prod&sort=-age&after=abc&q=");
    assert_eq!(Column::new("Age", "age", &query, "id").href, "/d?stage=prod&sort=age");
    assert_eq!(Column::new("Age", "age", &query, "id").direction, "descending");
    assert_eq!(Column::new("Id", "id", &query, "id").direction, "none");
    assert_eq!(Column::new("Id", "id", &query.without("sort"), "id").href, "/d?stage=prod&sort=-id");
    let pager = Pager::new("50", &query, Some("a b&c"));
    assert_eq!(pager.first.as_deref(), Some("/d?stage=prod&sort=-age"));
    assert_eq!(pager.next.as_deref(), Some("/d?stage=prod&sort=-age&after=a+b%26c"));
    assert!(query.is_filtered(&["sort", "after"]) && !query.without("stage").is_filtered(&["sort", "after"]));
}

#[test]
fn problems_find_their_fields_and_the_rest_keeps_its_place() {
    let mut id = Field::text("id", "Id");
    let problems = vec![
        Problem::new("id", "too long").hint("Use 63 letters."),
        Problem::new("id", "starts with a digit"),
        Problem::new("compose.yaml:12:5", "privileged is not allowed"),
    ];
    let trouble = blame(&mut [&mut id], &Error::problems("x", problems));
    assert_eq!(id.error.as_deref(), Some("Too long. Use 63 letters. Starts with a digit"));
    assert_eq!(trouble.title, "3 things have to be put right");
    let fields: Vec<_> = trouble.items.iter().map(|item| item.field.as_deref()).collect();
    assert_eq!(fields, [Some("id"), Some("id"), None]);
    let conflict = Error::conflict("busy", "an update runs").hint("Wait for it.");
    let trouble = blame(&mut [], &conflict);
    assert_eq!((trouble.title.as_str(), trouble.hint.as_str()), ("An update runs", "Wait for it."));
}

#[test]
fn steps_show_what_was_done_and_what_is_not_reached() {
    let record =
        |step, state| StepRecord { step, state, detail: String::new(), started_at: now(), ended_at: None };
    let records = [
        record(Step::Plan, StepState::Done),
        record(Step::Check, StepState::Failed),
        record(Step::Undo, StepState::Done),
    ];
    let ended = |outcome| UpdateState::Ended { outcome, started_at: None, ended_at: now() };
    let cancelled = ended(Outcome::Cancelled { by: "alice".into() });
    let steps =
        StepView::all(UpdateKind::Update, &records, &cancelled, now() + TimeDelta::milliseconds(1_500));
    assert_eq!(steps.len(), 8);
    assert_eq!((steps[1].state.shape, steps[1].took.as_str()), ("state-error", "1.5 s"));
    assert_eq!((steps[3].waits, steps[3].state.word.as_ref()), (true, "Not reached"));
    assert_eq!(progress(UpdateKind::Update, &records, &cancelled), (1, 7));
    let stopped = ended(Outcome::Succeeded);
    assert_eq!(
        StepView::all(UpdateKind::Update, &records[..1], &stopped, now()).len(),
        1,
        "stopping needs no more"
    );
    assert_eq!(progress(UpdateKind::Update, &records[..1], &stopped), (1, 1));
}

#[test]
fn a_text_diff_leaves_equal_stretches_out_and_says_how_many() {
    let before: String = (1..=20).map(|n| format!("{n}\n")).collect();
    let lines = DiffLine::between(&before, &before.replace("10\n", "ten\n"));
    let shown: Vec<_> = lines.iter().map(|line| format!("{}{}", line.sign(), line.text)).collect();
    assert_eq!(shown.first().map(String::as_str), Some(" 6 equal lines"));
    assert!(shown.contains(&"-10".to_owned()) && shown.contains(&"+ten".to_owned()));
    assert_eq!(shown.last().map(String::as_str), Some(" 7 equal lines"));
    assert_eq!(shown.len(), 10);
    assert!(DiffLine::between("same\n", "same\n").is_empty());
}

#[test]
fn a_confirmation_takes_the_name_and_nothing_else() {
    let confirm = Confirm {
        action: String::new(),
        verb: String::new(),
        name: "churn".into(),
        consequences: vec![],
        also: None,
        back: String::new(),
        typed: None,
    };
    assert!(confirm.accepts(" churn ") && !confirm.accepts("Churn") && !confirm.accepts(""));
}
