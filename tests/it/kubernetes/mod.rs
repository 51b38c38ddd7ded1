//! Tests of the Kubernetes engine against real parts. Plain `cargo nextest run` leaves them out.

mod images;
