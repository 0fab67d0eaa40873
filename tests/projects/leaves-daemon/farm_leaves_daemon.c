#include <Python.h>

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "farm_leaves_daemon", 0, -1, 0};

PyMODINIT_FUNC PyInit_farm_leaves_daemon(void) { return PyModule_Create(&module); }
