//! A module written by hand on PyO3's bindings to the stable ABI: the quickest thing that needs crates, and maturin knows.

use pyo3_ffi::*;
use std::ptr::{addr_of_mut, null_mut};

static mut DEFINITION: PyModuleDef = PyModuleDef {
    m_base: PyModuleDef_HEAD_INIT,
    m_name: c"farm_rust".as_ptr(),
    m_doc: c"The answer.".as_ptr(),
    m_size: 0,
    m_methods: null_mut(),
    m_slots: null_mut(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
};

#[no_mangle]
pub unsafe extern "C" fn PyInit_farm_rust() -> *mut PyObject {
    let module = PyModule_Create(addr_of_mut!(DEFINITION));
    PyModule_AddIntConstant(module, c"ANSWER".as_ptr(), 42);
    module
}
