! Random numbers: Philox4x32-10 for training, MT19937 for initial weights.
!
! Fortran's integers have a sign, and none may overflow. So a word of 32 bits is an integer of 64,
! from which `low` takes what is beyond a word.
module random
  use, intrinsic :: iso_c_binding, only: c_double
  use settings, only: i64
  implicit none
  private
  public :: mt_number, open_mt19937, open_stream, shuffle, word

  integer(i64), parameter :: low = int(z'FFFFFFFF', i64), low_half = int(z'FFFF', i64)

  ! The last word of a counter: the purpose of the words.
  integer(i64), parameter, public :: for_dropout = 0, for_shuffle = 1

  ! A stream of words, counted from 0; four follow from one counter, so a block of four is kept.
  ! `block` is word / 4, or -1 as long as there is none.
  type, public :: philox_stream
    integer(i64) :: seed, time, layer, purpose
    integer(i64) :: block = -1
    integer(i64) :: words(0:3)
  end type

  integer, parameter :: mt_words = 624, mt_middle = 397

  type, public :: mt19937
    integer(i64) :: x(0:mt_words - 1)
    integer :: next = mt_words
  end type

contains

  pure type(philox_stream) function open_stream(seed, time, layer, purpose) result(s)
    integer(i64), intent(in) :: seed, time, layer, purpose
    s%seed = seed
    s%time = time
    s%layer = layer
    s%purpose = purpose
  end function

  ! The halves of the product of two words, which may have more bits than fit beside a sign: b is
  ! multiplied in two halves of 16 bits.
  pure subroutine multiply(a, b, high_word, low_word)
    integer(i64), intent(in) :: a, b
    integer(i64), intent(out) :: high_word, low_word
    integer(i64) :: right, left ! the product is right + 2**16 left
    right = a*iand(b, low_half)
    left = a*shiftr(b, 16) + shiftr(right, 16)
    high_word = shiftr(left, 16)
    low_word = ior(shiftl(iand(left, low_half), 16), iand(right, low_half))
  end subroutine

  ! Ten rounds of multiplication; J. K. Salmon and others, SC 2011.
  pure subroutine philox(c, key)
    integer(i64), intent(inout) :: c(0:3)
    integer(i64), intent(in) :: key
    integer(i64) :: k0, k1, high0, low0, high2, low2
    integer :: round
    k0 = iand(key, low)
    k1 = shiftr(key, 32)
    do round = 1, 10
      call multiply(int(z'D2511F53', i64), c(0), high0, low0)
      call multiply(int(z'CD9E8D57', i64), c(2), high2, low2)
      c = [ieor(ieor(high2, c(1)), k0), low2, ieor(ieor(high0, c(3)), k1), low0]
      k0 = iand(k0 + int(z'9E3779B9', i64), low)
      k1 = iand(k1 + int(z'BB67AE85', i64), low)
    end do
  end subroutine

  integer(i64) function word(s, index)
    type(philox_stream), intent(inout) :: s
    integer(i64), intent(in) :: index
    if (s%block /= index/4) then
      s%block = index/4
      s%words = [s%block, s%time, s%layer, s%purpose] ! each below 2**32
      call philox(s%words, s%seed)
    end if
    word = s%words(mod(index, 4_i64))
  end function

  ! The order of the samples in an epoch, shuffled from the end. The samples count from 0.
  subroutine shuffle(order, seed, epoch)
    integer(i64), intent(out) :: order(0:)
    integer(i64), intent(in) :: seed, epoch
    type(philox_stream) :: stream
    integer(i64) :: i, j, at_i
    stream = open_stream(seed, epoch, 0_i64, for_shuffle)
    do i = 0, size(order) - 1
      order(i) = i
    end do
    do i = size(order) - 1, 1, -1
      j = shiftr(word(stream, i)*(i + 1), 32)
      at_i = order(i)
      order(i) = order(j)
      order(j) = at_i
    end do
  end subroutine

  ! The Mersenne Twister; M. Matsumoto, T. Nishimura, ACM TOMACS 8(1), 1998.
  pure type(mt19937) function open_mt19937(seed) result(g)
    integer(i64), intent(in) :: seed
    integer :: i
    g%x(0) = iand(seed, low)
    do i = 1, mt_words - 1
      g%x(i) = ieor(g%x(i - 1), shiftr(g%x(i - 1), 30))
      g%x(i) = iand(1812433253_i64*g%x(i) + i, low)
    end do
  end function

  pure subroutine twist(g)
    type(mt19937), intent(inout) :: g
    integer(i64) :: y
    integer :: i
    do i = 0, mt_words - 1
      y = ior(iand(g%x(i), int(z'80000000', i64)), &
              iand(g%x(mod(i + 1, mt_words)), int(z'7FFFFFFF', i64)))
      g%x(i) = ieor(g%x(mod(i + mt_middle, mt_words)), shiftr(y, 1))
      if (btest(y, 0)) g%x(i) = ieor(g%x(i), int(z'9908B0DF', i64))
    end do
    g%next = 0
  end subroutine

  integer(i64) function mt_word(g) result(y)
    type(mt19937), intent(inout) :: g
    if (g%next == mt_words) call twist(g)
    y = g%x(g%next)
    g%next = g%next + 1
    y = ieor(y, shiftr(y, 11))
    y = ieor(y, iand(shiftl(y, 7), int(z'9D2C5680', i64)))
    y = ieor(y, iand(shiftl(y, 15), int(z'EFC60000', i64)))
    y = ieor(y, shiftr(y, 18))
  end function

  ! In [0, 1), with 53 bits of two words.
  real(c_double) function mt_number(g)
    type(mt19937), intent(inout) :: g
    integer(i64) :: a, b
    a = shiftr(mt_word(g), 5)
    b = shiftr(mt_word(g), 6)
    mt_number = (real(a, c_double)*67108864 + real(b, c_double))/9007199254740992.0_c_double
  end function

end module
