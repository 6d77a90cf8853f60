// What the numbers are: "float64" or "float32", which stands behind the "?" in the module's URL.
//
// Node loads a module once for each URL. So each dtype has its own copy of the modules that
// compute, and in each copy the compiler knows what round() is.
export const dtype = new URL(import.meta.url).search.slice(1);

/** Arrays of the dtype; to store a number in one is to round it. */
export const Reals = dtype === "float32" ? Float32Array : Float64Array;

/**
 * JavaScript computes in double precision. A float32 result that is not stored at once must be
 * rounded. Only a product that is added stays exact, as in a fused multiply-add.
 */
export const round = dtype === "float32" ? Math.fround : (x) => x;
