//! Tests on a real Docker engine: `tests/lab/lab docker images` starts one. Plain `cargo nextest run` leaves them out.

mod iris;
mod kill;
