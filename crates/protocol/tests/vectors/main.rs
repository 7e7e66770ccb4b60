//! Golden bytes of everything that travels or is derived, but data packets: what is written
//! today can be read by every later version that speaks this one, by either back end.

mod binary;
mod control;
mod golden;
mod join;
