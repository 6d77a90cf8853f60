! The settings of conformance/contract/backprop.h, and how many numbers of each kind follow from them.
module settings
  use, intrinsic :: iso_c_binding, only: c_double, c_f_pointer, c_int64_t, c_ptr
  implicit none
  private
  public :: count_numbers, has_momentum, layer_sizes, valid, valid_run

  integer, parameter, public :: i64 = c_int64_t

  ! As in backprop.h.
  integer, parameter, public :: backprop_ok = 0, backprop_no_memory = 3, backprop_failed = 4
  integer(i64), parameter :: most = shiftl(1_i64, 40), most_layers = 65536
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

  ! Whether backprop.h allows this, as backprop_valid.h checks it for C. There are no samples,
  ! least_samples is 0, for initial weights. Layers are read if there are as many as there may be.
  logical function valid(s, least_samples)
    type(backprop_settings), intent(in) :: s
    integer(i64), intent(in) :: least_samples
    valid = all(between(0_i64, [s%bias, s%nesterov, s%shuffle, s%batch_norm, s%adam], 1_i64)) &
            .and. between(2_i64, s%layer_count, most_layers) &
            .and. between(least_samples, s%samples, most) &
            .and. all(between(0_i64, [s%batch_size, s%iteration, s%networks], most)) &
            .and. s%philox_seed >= 0 &
            .and. between(backprop_sigmoid, s%activation, backprop_relu) &
            .and. between(backprop_sigmoid, s%output, backprop_softmax) &
            .and. between(backprop_squared, s%loss, backprop_cross_entropy) &
            .and. (s%output /= backprop_softmax .or. s%loss == backprop_cross_entropy)
    if (valid) valid = numbers(s, layer_sizes(s)) <= most
  end function

  ! The same of a free run: the checkpoints rise, and there is room for all states.
  logical function valid_run(s, checkpoint_count, checkpoints)
    type(backprop_settings), intent(in) :: s
    integer(i64), intent(in) :: checkpoint_count, checkpoints(*)
    integer(i64) :: c, least, states
    valid_run = valid(s, 1_i64) .and. between(1_i64, checkpoint_count, most)
    if (.not. valid_run) return
    states = product_of(max(s%networks, 1_i64), checkpoint_count)
    valid_run = product_of(numbers(s, layer_sizes(s)), states) <= most
    if (.not. valid_run) return
    least = 0
    do c = 1, checkpoint_count
      valid_run = between(least, checkpoints(c), most)
      if (.not. valid_run) return
      least = checkpoints(c) + 1
    end do
  end function

  ! At least as many as any array of one network has; more than `most`: too many.
  pure integer(i64) function numbers(s, layers)
    type(backprop_settings), intent(in) :: s
    integer(i64), intent(in) :: layers(0:)
    integer(i64) :: k, units, weights
    numbers = most + 1
    if (.not. all(between(1_i64, layers, most - 1))) return
    units = layers(0)
    weights = 0
    do k = 1, ubound(layers, 1)
      units = sum_of(units, layers(k))
      weights = sum_of(weights, product_of(layers(k - 1) + s%bias, layers(k)))
    end do
    ! The parameters, twice as many of the optimiser, and running averages.
    numbers = sum_of(product_of(sum_of(weights, 4*units), 3_i64), product_of(units, s%samples))
  end function

  elemental logical function between(least, number, largest)
    integer(i64), intent(in) :: least, number, largest
    between = least <= number .and. number <= largest
  end function

  ! a + b and a*b of counts, or most + 1 if that is too many.
  pure integer(i64) function sum_of(a, b)
    integer(i64), intent(in) :: a, b
    sum_of = most + 1
    if (a <= most - b) sum_of = a + b
  end function

  pure integer(i64) function product_of(a, b)
    integer(i64), intent(in) :: a, b
    product_of = most + 1
    if (a <= most/max(b, 1_i64)) product_of = a*b
  end function

  pure logical function has_momentum(s)
    type(backprop_settings), intent(in) :: s
    has_momentum = .not. abs(s%momentum) <= 0 ! NaN is not 0, either
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
