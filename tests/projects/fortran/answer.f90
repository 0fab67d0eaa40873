integer(c_int) function answer() bind(c)
  use iso_c_binding, only: c_int
  print '(a)', 'the Fortran library is at hand'
  answer = 42_c_int
end function
