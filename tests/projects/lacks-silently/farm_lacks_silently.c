#include <Python.h>
#include <yaml.h>

static PyObject *version(PyObject *self, PyObject *args) { return PyUnicode_FromString(yaml_get_version_string()); }

static PyMethodDef methods[] = {{"version", version, METH_NOARGS, "of libyaml"}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "farm_lacks_silently", NULL, -1, methods};

PyMODINIT_FUNC PyInit_farm_lacks_silently(void) { return PyModule_Create(&module); }
