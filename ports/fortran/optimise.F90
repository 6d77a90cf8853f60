! From the descents of all parameters to a step: trimming, decay, momentum, Adam.
#include "dtype.inc"
module MODULE(optimise)
  use, intrinsic :: iso_c_binding, only: wp => REAL_KIND
  use settings
  implicit none
  private
  public :: decay, move, shrink

contains

  ! Scales all descents, so that the root of the sum of their squares is at most this.
  pure subroutine shrink(most, descents)
    real(wp), intent(in) :: most
    real(wp), contiguous, intent(inout) :: descents(:)
    real(wp) :: norm
    norm = norm2(descents)
    if (norm > most) descents = descents*(most/norm)
  end subroutine

  ! The intrinsic sign(1, w) is 1 where w is 0.
  pure subroutine decay(s, syn, descent)
    type(backprop_settings), intent(in) :: s
    real(wp), contiguous, intent(in) :: syn(:, :)
    real(wp), contiguous, intent(inout) :: descent(:, :)
    real(wp) :: l1, l2
    l1 = real(s%l1, wp)
    l2 = real(s%l2, wp)
    descent = descent - l2*syn - merge(sign(l1, syn), 0.0_wp, abs(syn) > 0)
  end subroutine

  ! v is the velocity; Nesterov's is what it will be if the next descent is the same.
  pure subroutine move_by_momentum(s, descents, parameters, v)
    type(backprop_settings), intent(in) :: s
    real(wp), contiguous, intent(in) :: descents(:)
    real(wp), contiguous, intent(inout) :: parameters(:), v(:)
    real(wp) :: alpha, momentum
    alpha = real(s%alpha, wp)
    momentum = real(s%momentum, wp)
    v = momentum*v + descents
    if (s%nesterov /= 0) then
      parameters = parameters + alpha*(descents + momentum*v)
    else
      parameters = parameters + alpha*v
    end if
  end subroutine

  ! m and v are averages of descents and of their squares, which began at 0. A power with a whole
  ! exponent would be made of products: pow is more exact.
  pure subroutine move_by_adam(s, iteration, d, parameters, m, v)
    type(backprop_settings), intent(in) :: s
    integer(i64), intent(in) :: iteration
    real(wp), contiguous, intent(in) :: d(:)
    real(wp), contiguous, intent(inout) :: parameters(:), m(:), v(:)
    real(wp) :: alpha, beta1, beta2, epsilon, t, first, second
    alpha = real(s%alpha, wp)
    beta1 = real(s%beta1, wp)
    beta2 = real(s%beta2, wp)
    epsilon = real(s%adam_epsilon, wp)
    t = real(iteration + 1, wp)
    first = 1 - beta1**t
    second = 1 - beta2**t
    m = beta1*m + (1 - beta1)*d
    v = beta2*v + (1 - beta2)*d**2
    parameters = parameters + alpha*((m/first)/(sqrt(v/second) + epsilon))
  end subroutine

  ! Adds alpha times the descents, or what is made of them; `memory` is the optimiser's.
  pure subroutine move(s, iteration, descents, parameters, memory)
    type(backprop_settings), intent(in) :: s
    integer(i64), intent(in) :: iteration
    real(wp), contiguous, intent(in) :: descents(:)
    real(wp), contiguous, intent(inout) :: parameters(:), memory(:)
    integer :: count
    count = size(parameters)
    ! [update]
    if (s%adam /= 0) then
      call move_by_adam(s, iteration, descents, parameters, memory(:count), memory(count + 1:))
    else if (has_momentum(s)) then
      call move_by_momentum(s, descents, parameters, memory)
    else
      parameters = parameters + real(s%alpha, wp)*descents
    end if
    ! [/update]
  end subroutine

end module
