def answer():
    cdef int i, total = 0
    for i in range(7):
        total += 6
    return total
