//! One request of the console: who asks, how they like their pages, and the frame that every page is set into.
//!
//! A page and its live fragments share a handler and a loader: htmx names the part that it wants in `HX-Target`, and
//! [`Visit::wants`] says whether it was asked for alone.

use std::future::{Ready, ready};

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::failure::PageError;
use super::page::{Flash, Page, Query, Section, Tone, UserView, sentence};
use crate::app::{App, project};
use crate::auth::{Credential, Identity};
use crate::domain::access::Caller;
use crate::domain::clock::Timestamp;
use crate::domain::user::Preferences;
use crate::domain::{Error, Kind};
use crate::http::{State, assets};

/// What every handler of the console answers.
pub type Answer = Result<HttpResponse, PageError>;

/// The cookie that carries what the last request has to say to the next page.
const FLASH: &str = "slipway_flash";

/// Bytes that a page is given room for.
const PAGE: usize = 48 * 1024;

/// A request of somebody who is signed in.
pub struct Visit {
    pub app: App,
    pub caller: Caller,
    pub now: Timestamp,
    pub preferences: Preferences,
    state: web::Data<State>,
    csrf: String,
    /// The part of a page that htmx asks for, by its element's id.
    part: Option<String>,
    path: String,
    query: String,
    flash: Option<Flash>,
}

impl FromRequest for Visit {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).ok_or_else(|| {
            let nobody = Error::new(Kind::Unauthenticated, "unauthenticated", "you are not signed in");
            PageError(nobody.hint("Sign in again."))
        }))
    }
}

impl Visit {
    /// The visit behind `request`; `None` when nobody is signed in.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let state = request.app_data::<web::Data<State>>()?.clone();
        let (caller, identity) = {
            let extensions = request.extensions();
            (extensions.get::<Caller>()?.clone(), extensions.get::<Identity>()?.clone())
        };
        let csrf = match &identity.credential {
            Credential::Session(session) => state.app.keys.csrf_token(session.as_str()),
            Credential::ApiKey(_) | Credential::Token(_) => String::new(),
        };
        Some(Self {
            now: state.app.now(),
            app: state.app.clone(),
            caller,
            preferences: identity.preferences,
            csrf,
            part: part(request),
            path: request.path().to_owned(),
            query: request.query_string().to_owned(),
            flash: read_flash(request),
            state,
        })
    }

    /// The frame of a page.
    pub fn page(&self, title: impl Into<String>, section: Section) -> Page {
        let base = self.base();
        let mut page = Page::new(title, section, base, &asset(base), self.now);
        let subject = &self.caller.subject;
        page.csrf.clone_from(&self.csrf);
        page.user = Some(UserView {
            name: subject.name.clone(),
            groups: subject.groups.iter().map(ToString::to_string).collect(),
            is_admin: subject.is_admin,
        });
        page.no_projects =
            project::making_refused(&self.app, &self.caller).as_ref().map(sentence).unwrap_or_default();
        page.flash.clone_from(&self.flash);
        page.nav.approvals = true;
        page.theme = self.preferences.theme;
        page.keys_on = self.preferences.keys;
        page
    }

    /// The path prefix without a slash at its end.
    pub fn base(&self) -> &str {
        self.state.settings.base_path()
    }

    /// The server's state, for the few pages that speak of it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// `path` (with its leading slash) under the prefix.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base())
    }

    /// This page's own address with its parameters.
    pub fn here(&self) -> Query {
        Query::parse(&self.path, &self.query)
    }

    /// Whether htmx asks for this part of the page alone.
    pub fn wants(&self, part: &str) -> bool {
        self.part.as_deref() == Some(part)
    }

    /// Whether htmx asks at all.
    pub fn is_htmx(&self) -> bool {
        self.part.is_some()
    }

    /// A whole page.
    pub fn show(&self, template: &impl Template) -> Answer {
        self.show_as(StatusCode::OK, template)
    }

    /// A whole page with another status: a form that was refused.
    ///
    /// htmx swaps in what answers 409 or 422, so a form that it sent is refused with one of these.
    pub fn show_as(&self, status: StatusCode, template: &impl Template) -> Answer {
        let swapped = !status.is_client_error() || status == StatusCode::CONFLICT || !self.is_htmx();
        let status = if swapped { status } else { StatusCode::UNPROCESSABLE_ENTITY };
        let mut response = html(status, template)?;
        if self.flash.is_some() {
            let mut cookie = self.cookie(String::new());
            cookie.make_removal();
            response.add_cookie(&cookie).map_err(Error::internal)?;
        }
        Ok(response)
    }

    /// A part of a page.
    pub fn show_part(&self, template: &impl Template) -> Answer {
        Ok(html(StatusCode::OK, template)?)
    }

    /// On to another page, which says `text` once.
    pub fn go(&self, path: &str, tone: Tone, text: &str) -> Answer {
        let mut response = self.leave(path);
        let value = URL_SAFE_NO_PAD.encode(format!("{}|{text}", tone.word()));
        response.add_cookie(&self.cookie(value)).map_err(Error::internal)?;
        Ok(response)
    }

    /// On to another page of ours: a redirect, which htmx is told in a header of its own so that it loads the page.
    pub fn leave(&self, path: &str) -> HttpResponse {
        let to = self.url(path);
        if self.is_htmx() {
            return HttpResponse::Ok().insert_header(("HX-Redirect", to)).finish();
        }
        HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish()
    }

    fn cookie(&self, value: String) -> Cookie<'static> {
        let path = match self.base() {
            "" => "/".to_owned(),
            base => base.to_owned(),
        };
        Cookie::build(FLASH, value)
            .path(path)
            .http_only(true)
            .secure(self.state.settings.is_https())
            .same_site(SameSite::Lax)
            .max_age(Duration::seconds(60))
            .finish()
    }
}

/// Where static files lie: under a path that changes with them.
pub(super) fn asset(base: &str) -> String {
    format!("{base}/static/{}", assets::version())
}

/// A template as an answer.
pub(super) fn html(status: StatusCode, template: &impl Template) -> Result<HttpResponse, Error> {
    // A long page grows to some forty kilobytes: the room is taken at once, not by doubling.
    let mut body = String::with_capacity(PAGE);
    template.render_into(&mut body).map_err(Error::internal)?;
    Ok(HttpResponse::build(status).content_type(ContentType::html()).body(body))
}

fn part(request: &HttpRequest) -> Option<String> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    header("hx-request")?;
    Some(header("hx-target").unwrap_or_default().to_owned())
}

fn read_flash(request: &HttpRequest) -> Option<Flash> {
    let cookie = request.cookie(FLASH)?;
    let bytes = URL_SAFE_NO_PAD.decode(cookie.value()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (tone, text) = text.split_once('|')?;
    let tones = [Tone::Ok, Tone::Warn, Tone::Bad, Tone::Sync, Tone::Info];
    let tone = tones.into_iter().find(|known| known.word() == tone)?;
    Some(Flash { tone, text: text.to_owned() })
}
