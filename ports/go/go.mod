module backprop

go 1.18
