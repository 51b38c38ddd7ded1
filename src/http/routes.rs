//! The route table: registered with actix and readable by tests, so that no route escapes them.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Resource, Responder, Route, Scope, web};

use crate::http::error;

/// Routes in matching order.
pub struct Routes {
    prefix: String,
    entries: Vec<(String, Vec<(Method, Route)>)>,
}

impl Routes {
    /// No routes, under a path prefix without a slash at its end.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), entries: Vec::new() }
    }

    fn add<F, Args>(&mut self, method: Method, path: &str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let path = format!("{}{path}", self.prefix);
        let route = web::method(method.clone()).to(handler);
        match self.entries.iter_mut().find(|(known, _)| *known == path) {
            Some((_, routes)) => routes.push((method, route)),
            None => self.entries.push((path, vec![(method, route)])),
        }
    }

    /// `GET` (and, as actix does it, not `HEAD`).
    pub fn get<F, Args>(&mut self, path: &str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::GET, path, handler);
    }

    /// `POST`.
    pub fn post<F, Args>(&mut self, path: &str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::POST, path, handler);
    }

    /// `PUT`.
    pub fn put<F, Args>(&mut self, path: &str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::PUT, path, handler);
    }

    /// `PATCH`.
    pub fn patch<F, Args>(&mut self, path: &str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::PATCH, path, handler);
    }

    /// `DELETE`.
    pub fn delete<F, Args>(&mut self, path: &str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::DELETE, path, handler);
    }

    /// Method and path pattern of every route.
    pub fn table(&self) -> Vec<(Method, String)> {
        let pairs = self
            .entries
            .iter()
            .flat_map(|(path, routes)| routes.iter().map(move |(method, _)| (method.clone(), path.clone())));
        pairs.collect()
    }

    /// Hands them to actix: one resource a path, so that a wrong method answers 405.
    pub fn register(self, config: &mut web::ServiceConfig) {
        for node in nest(self.entries) {
            match node {
                Node::Path(path, routes) => config.service(resource(&path, routes)),
                Node::Under(path, nodes) => config.service(scope(&path, nodes)),
            };
        }
    }
}

type Entry = (String, Vec<(Method, Route)>);

/// Routes by their segments: actix tries what it is given one after the other, which takes long for two hundred.
enum Node {
    Path(String, Vec<(Method, Route)>),
    Under(String, Vec<Node>),
}

/// Puts paths that begin with the same segment under it. A segment that is a parameter comes last, and beside one no
/// fixed segment gathers what is under it: what it does not know itself is the parameter's.
fn nest(entries: Vec<Entry>) -> Vec<Node> {
    let mut groups: Vec<(String, Vec<Entry>)> = Vec::new();
    let has_parameter = entries.iter().any(|(path, _)| head(path).contains('{'));
    for (path, routes) in entries {
        let head = head(&path).to_owned();
        let gathers = !head.is_empty() && !head.contains(':') && (!has_parameter || head.contains('{'));
        match groups.iter_mut().find(|(known, _)| gathers && *known == head) {
            Some((_, group)) => group.push((path, routes)),
            None => groups.push((if gathers { head } else { String::new() }, vec![(path, routes)])),
        }
    }
    groups.sort_by_key(|(_, group)| group.iter().any(|(path, _)| self::head(path).contains('{')));
    groups.into_iter().flat_map(|(head, group)| node(head, group)).collect()
}

fn node(head: String, mut group: Vec<Entry>) -> Vec<Node> {
    if head.is_empty() || group.len() == 1 {
        return group.into_iter().map(|(path, routes)| Node::Path(path, routes)).collect();
    }
    for (path, _) in &mut group {
        path.drain(..head.len());
    }
    vec![Node::Under(head, nest(group))]
}

/// The first segment with its slash.
fn head(path: &str) -> &str {
    let end = path.char_indices().skip(1).find(|(_, letter)| *letter == '/');
    &path[..end.map_or(path.len(), |(at, _)| at)]
}

fn scope(path: &str, nodes: Vec<Node>) -> Scope {
    nodes.into_iter().fold(web::scope(path), |scope, node| match node {
        Node::Path(path, routes) => scope.service(resource(&path, routes)),
        Node::Under(path, nodes) => scope.service(self::scope(&path, nodes)),
    })
}

fn resource(path: &str, routes: Vec<(Method, Route)>) -> Resource {
    let methods: Vec<&str> = routes.iter().map(|(method, _)| method.as_str()).collect();
    let allowed = methods.join(", ");
    let wrong_method = move |request| std::future::ready(error::wrong_method(&request, &allowed));
    let resource = web::resource(path).default_service(web::to(wrong_method));
    routes.into_iter().fold(resource, |resource, (_, route)| resource.route(route))
}
