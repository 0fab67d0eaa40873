#include <Python.h>
#include <math.h>

static PyObject *answer(PyObject *self, PyObject *args) {
    return PyFloat_FromDouble(sqrt(1764.0));
}

static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, "42"}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "farm_hangs_late", NULL, -1, methods};

PyMODINIT_FUNC PyInit_farm_hangs_late(void) { return PyModule_Create(&module); }
