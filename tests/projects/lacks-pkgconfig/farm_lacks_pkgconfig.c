#include <Python.h>
#include <uv.h>

static PyObject *version(PyObject *self, PyObject *args) { return PyUnicode_FromString(uv_version_string()); }

static PyMethodDef methods[] = {{"version", version, METH_NOARGS, "of libuv"}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "farm_lacks_pkgconfig", NULL, -1, methods};

PyMODINIT_FUNC PyInit_farm_lacks_pkgconfig(void) { return PyModule_Create(&module); }
