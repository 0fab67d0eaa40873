#include <Python.h>

static double sums[64];

static PyObject *add(PyObject *self, PyObject *argument) {
    double value = PyFloat_AsDouble(argument), total = 0;
    for (int i = 0; i < 64; i++) {
        sums[i] = sums[i] * 0.5 + value * i;
        total += sums[i];
    }
    return PyFloat_FromDouble(total);
}

static PyMethodDef methods[] = {{"add", add, METH_O, "a loop that a compiler likes to make wide"}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "farm_simd_plain", NULL, -1, methods};

PyMODINIT_FUNC PyInit_farm_simd_plain(void) { return PyModule_Create(&module); }
