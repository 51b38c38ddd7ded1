//! The route table: registered with actix and readable by tests, so that no route escapes them.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Responder, Route, web};

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
        for (path, routes) in self.entries {
            let methods: Vec<&str> = routes.iter().map(|(method, _)| method.as_str()).collect();
            let allowed = methods.join(", ");
            let wrong_method = move |request| std::future::ready(error::wrong_method(&request, &allowed));
            let mut resource = web::resource(path).default_service(web::to(wrong_method));
            for (_, route) in routes {
                resource = resource.route(route);
            }
            config.service(resource);
        }
    }
}
