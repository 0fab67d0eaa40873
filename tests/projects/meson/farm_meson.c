#include <Python.h>

static PyObject *answer(PyObject *self, PyObject *args) {
    return PyFloat_FromDouble(42.0);
}

static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, "42"}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "farm_meson", NULL, -1, methods};

PyMODINIT_FUNC PyInit_farm_meson(void) { return PyModule_Create(&module); }
