#include <Python.h>

static double sums[64];

/* Twenty functions that compute, so that what the compiler was told shows in many places. */
#define STEP(n) \
    __attribute__((noinline)) static double step_##n(double value) { \
        double total = n; \
        for (int i = 0; i < 64; i++) total += (sums[i] = sums[i] * 0.5 + value * (i + n)); \
        return total; \
    }
#define ALL(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20)
ALL(STEP)

__attribute__((noinline, target("avx2,fma"), optimize("O3"))) static double wide(double value) {
    double total = 0;
    for (int i = 0; i < 64; i++) total += (sums[i] = sums[i] * 0.25 + value * i);
    return total;
}

static PyObject *add(PyObject *self, PyObject *argument) {
    double value = PyFloat_AsDouble(argument), total = 0;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return PyFloat_FromDouble(wide(value));
#define CALL(n) total += step_##n(value);
    ALL(CALL)
    return PyFloat_FromDouble(total);
}

static PyMethodDef methods[] = {{"add", add, METH_O, "wide where the processor can"}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "farm_simd_chooses", NULL, -1, methods};

PyMODINIT_FUNC PyInit_farm_simd_chooses(void) { return PyModule_Create(&module); }
