//! As much of a browser as a sign-in takes: cookies by host and port, redirects, forms. It runs no script.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use scraper::{Html, Selector};
use url::Url;

pub struct Browser {
    client: reqwest::Client,
    /// By origin and name.
    pub cookies: BTreeMap<(String, String), String>,
    /// Whole `Set-Cookie` lines, as they came.
    pub set: Vec<String>,
    /// Every address that it was at, in order.
    pub trail: Vec<String>,
}

/// Where a browser ended, and what it shows.
#[derive(Debug, Clone)]
pub struct Page {
    pub url: String,
    pub status: u16,
    pub text: String,
}

impl Page {
    /// The first form's address and hidden fields.
    pub fn form(&self) -> (String, Vec<(String, String)>) {
        let html = Html::parse_document(&self.text);
        let form = html.select(&Selector::parse("form").unwrap()).next();
        let form = form.unwrap_or_else(|| panic!("no form at {}: {}", self.url, self.text));
        let inputs = Selector::parse("input[type=hidden]").unwrap();
        let hidden = form.select(&inputs).map(|input| {
            let value = |name| input.value().attr(name).unwrap_or_default().to_owned();
            (value("name"), value("value"))
        });
        let action = Url::parse(&self.url).unwrap().join(form.value().attr("action").unwrap()).unwrap();
        (action.into(), hidden.collect())
    }

    /// Where a link with this text leads.
    pub fn link(&self, words: &str) -> String {
        let html = Html::parse_document(&self.text);
        let links = Selector::parse("a").unwrap();
        let mut found = html.select(&links).filter(|link| link.text().collect::<String>().contains(words));
        let link = found.next().unwrap_or_else(|| panic!("no link {words:?} at {}: {}", self.url, self.text));
        Url::parse(&self.url).unwrap().join(link.value().attr("href").unwrap()).unwrap().into()
    }
}

impl Browser {
    pub fn new() -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, cookies: BTreeMap::new(), set: Vec::new(), trail: Vec::new() }
    }

    /// Opens an address and follows wherever it leads.
    pub async fn get(&mut self, url: &str) -> Page {
        self.go(url, None).await
    }

    /// Sends the form that a page shows, with these fields filled in.
    pub async fn submit(&mut self, page: &Page, fields: &[(&str, &str)]) -> Page {
        let (action, mut all) = page.form();
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.go(&action, Some(all)).await
    }

    /// Follows until `stop` holds for an address, which is answered without going there.
    pub async fn until(
        &mut self,
        url: &str,
        fields: Option<Vec<(String, String)>>,
        stop: &str,
    ) -> Result<Page, String> {
        let (mut url, mut fields) = (url.to_owned(), fields);
        for _ in 0..12 {
            if !stop.is_empty() && url.starts_with(stop) {
                return Err(url);
            }
            let page = self.step(&url, fields.take()).await;
            match page {
                Ok(page) => return Ok(page),
                Err(next) => url = next,
            }
        }
        panic!("more than twelve hops, last to {url}");
    }

    async fn go(&mut self, url: &str, fields: Option<Vec<(String, String)>>) -> Page {
        self.until(url, fields, "").await.unwrap()
    }

    /// One request: a page, or the address of the next.
    async fn step(&mut self, url: &str, fields: Option<Vec<(String, String)>>) -> Result<Page, String> {
        let parsed = Url::parse(url).unwrap();
        let origin = parsed.origin().ascii_serialization();
        self.trail.push(url.to_owned());
        let own = self.cookies.iter().filter(|((of, _), _)| *of == origin);
        let cookies: Vec<String> = own.map(|((_, name), value)| format!("{name}={value}")).collect();
        let request = match &fields {
            Some(fields) => self.client.post(url).form(fields).header("sec-fetch-site", "same-origin"),
            None => self.client.get(url),
        };
        let request = request.header(COOKIE, cookies.join("; ")).header("accept", "text/html");
        let answer = request.send().await.unwrap();
        for line in answer.headers().get_all(SET_COOKIE) {
            let line = line.to_str().unwrap().to_owned();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert((origin.clone(), name.to_owned()), value.to_owned());
            self.set.push(line);
        }
        let location = answer.headers().get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
        match location {
            Some(to) => Err(parsed.join(&to).unwrap().into()),
            None => Ok(Page {
                url: url.to_owned(),
                status: answer.status().as_u16(),
                text: answer.text().await.unwrap(),
            }),
        }
    }

    /// The whole way: our sign-in page, its button, the provider's form, and back.
    pub async fn sign_in(&mut self, base: &str, who: &str) -> Page {
        let page = self.get(&format!("{base}/login")).await;
        let page = self.get(&page.link("test provider")).await;
        self.log_in(&page, who).await
    }

    /// Fills in the provider's form.
    pub async fn log_in(&mut self, page: &Page, who: &str) -> Page {
        self.submit(page, &[("login", who), ("password", "any")]).await
    }

    /// The value of a cookie.
    pub fn cookie(&self, base: &str, name: &str) -> Option<&str> {
        let origin = Url::parse(base).unwrap().origin().ascii_serialization();
        self.cookies.get(&(origin, name.to_owned())).map(String::as_str).filter(|value| !value.is_empty())
    }
}
