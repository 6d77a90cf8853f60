! The settings of conformance/backprop.h, and how many numbers of each kind follow from them.
module settings
  use, intrinsic :: iso_c_binding, only: c_double, c_f_pointer, c_int64_t, c_ptr
  implicit none
  private
  public :: count_numbers, has_momentum, layer_sizes, supported

  integer, parameter, public :: i64 = c_int64_t

  ! As in backprop.h.
  integer, parameter, public :: backprop_ok = 0, backprop_unsupported = 1, backprop_no_memory = 3
  integer(i64), parameter, public :: backprop_sigmoid = 0, backprop_tanh = 1, backprop_relu = 2, &
                                     backprop_softmax = 3
  integer(i64), parameter, public :: backprop_squared = 0, backprop_cross_entropy = 1

  type, bind(c), public :: backprop_settings
    integer(c_int64_t) :: layer_count
    type(c_ptr) :: layers
    integer(c_int64_t) :: samples
    real(c_double) :: alpha
    integer(c_int64_t) :: bias, activation, output, loss, batch_size, iteration
    real(c_double) :: trim_value, trim_norm, l1, l2, momentum
    integer(c_int64_t) :: nesterov, shuffle
    real(c_double) :: dropout
    integer(c_int64_t) :: philox_seed, batch_norm
    real(c_double) :: norm_epsilon, norm_rate
    integer(c_int64_t) :: adam
    real(c_double) :: beta1, beta2, adam_epsilon
    integer(c_int64_t) :: networks
  end type

  type, public :: counts
    integer(i64) :: last = 0     ! K: the output layer, and the number of weight matrices
    integer(i64) :: inputs = 0, outputs = 0
    integer(i64) :: weights = 0  ! in all syn, with those from bias units
    integer(i64) :: units = 0    ! of all layers but the first
    integer(i64) :: hidden = 0   ! those of them that are not outputs
    integer(i64) :: normal = 0   ! those of them that are normalised
    integer(i64) :: parameters = 0, memory = 0, state = 0
  end type

contains

  ! The sizes of the layers; the place of each is its number, from 0 on.
  function layer_sizes(s) result(sizes)
    type(backprop_settings), intent(in) :: s
    integer(i64), pointer :: sizes(:), from_1(:)
    call c_f_pointer(s%layers, from_1, [s%layer_count])
    sizes(0:) => from_1
  end function

  ! Softmax has no slope for each unit alone, which a hidden layer or squared loss would need.
  pure logical function supported(s)
    type(backprop_settings), intent(in) :: s
    supported = s%layer_count >= 2 .and. &
                s%activation >= backprop_sigmoid .and. s%activation <= backprop_relu .and. &
                s%output >= backprop_sigmoid .and. s%output <= backprop_softmax .and. &
                s%loss >= backprop_squared .and. s%loss <= backprop_cross_entropy .and. &
                (s%output /= backprop_softmax .or. s%loss == backprop_cross_entropy)
  end function

  pure logical function has_momentum(s)
    type(backprop_settings), intent(in) :: s
    has_momentum = abs(s%momentum) > 0
  end function

  pure type(counts) function count_numbers(s, layers) result(n)
    type(backprop_settings), intent(in) :: s
    integer(i64), intent(in) :: layers(0:)
    n%last = s%layer_count - 1
    n%inputs = layers(0)
    n%outputs = layers(n%last)
    n%weights = sum((layers(:n%last - 1) + s%bias)*layers(1:))
    n%units = sum(layers(1:))
    n%hidden = n%units - n%outputs
    n%normal = merge(n%hidden, 0_i64, s%batch_norm /= 0)
    n%parameters = n%weights + 2*n%normal
    if (has_momentum(s)) n%memory = n%parameters
    if (s%adam /= 0) n%memory = 2*n%parameters
    n%state = n%parameters + n%memory + 2*n%normal
  end function

end module
