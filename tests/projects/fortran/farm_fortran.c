#include <Python.h>

int answer(void);

static PyObject *ask(PyObject *self, PyObject *args) {
    return PyLong_FromLong(answer());
}

static PyMethodDef methods[] = {{"answer", ask, METH_NOARGS, "42"}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "farm_fortran", NULL, -1, methods};

PyMODINIT_FUNC PyInit_farm_fortran(void) { return PyModule_Create(&module); }
