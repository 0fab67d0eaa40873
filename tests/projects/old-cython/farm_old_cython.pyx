def answer():
    cdef int number = 42
    return number
