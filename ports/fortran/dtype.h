! What differs between the two dtypes. Files *.F90 are compiled twice, with -DBITS=64 and -DBITS=32.
! REAL_KIND is the kind of all their numbers, which they call wp ("working precision"), and MODULE
! makes modules of two names of each file, since two of one name cannot be linked.
#if BITS == 64
#define REAL_KIND c_double
#define SUFFIX "f64"
#define MODULE(name) name/**/_f64
#else
#define REAL_KIND c_float
#define SUFFIX "f32"
#define MODULE(name) name/**/_f32
#endif
